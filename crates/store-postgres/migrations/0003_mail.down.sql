DROP TABLE request, mail;
