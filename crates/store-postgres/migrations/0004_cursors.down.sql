DROP TABLE dead_letter, cursor;
DROP SEQUENCE cursor_fence;
