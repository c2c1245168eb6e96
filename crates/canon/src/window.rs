//! `mon-fri 08:00-18:00`: when something is allowed, in UTC.

use std::fmt;

const DAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];

/// Days of the week and a span of the day, in UTC. The end of the span is outside. A span
/// that ends before it starts runs past midnight and belongs to the day it starts on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Window {
    days: [bool; 7],
    from: u16,
    until: u16,
    text: String,
}

impl Window {
    /// Read `mon-fri 08:00-18:00`, `sat,sun 10:00-12:00` or `daily 22:00-06:00`.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let form = || format!("`{text}` is not a window like mon-fri 08:00-18:00");
        let (days, hours) = text.trim().split_once(' ').ok_or_else(form)?;
        let (from, until) = hours.trim().split_once('-').ok_or_else(form)?;
        let from = minute(from).ok_or_else(form)?;
        let until = minute(until).ok_or_else(form)?;
        let days = parse_days(days).ok_or_else(form)?;
        if from == until || from == MINUTES_OF_DAY {
            return Err(format!("`{text}` is an empty window"));
        }
        Ok(Self { days, from, until, text: text.trim().to_owned() })
    }

    /// Whether a moment is inside: `day` is 0 for Monday, `minute` counts from midnight UTC.
    #[must_use]
    pub fn contains(&self, day: u8, minute: u16) -> bool {
        let on = |day: usize| self.days.get(day % 7).copied().unwrap_or(false);
        let today = usize::from(day);
        if self.from < self.until {
            return on(today) && (self.from..self.until).contains(&minute);
        }
        on(today) && minute >= self.from || on(today + 6) && minute < self.until
    }
}

const MINUTES_OF_DAY: u16 = 24 * 60;

fn minute(text: &str) -> Option<u16> {
    let (hour, minute) = text.split_once(':')?;
    let two = |part: &str| {
        (part.len() == 2 && part.bytes().all(|byte| byte.is_ascii_digit()))
            .then(|| part.parse::<u16>().ok())?
    };
    let (hour, minute) = (two(hour)?, two(minute)?);
    let total = hour * 60 + minute;
    (minute < 60 && total <= MINUTES_OF_DAY).then_some(total)
}

fn parse_days(text: &str) -> Option<[bool; 7]> {
    if text == "daily" {
        return Some([true; 7]);
    }
    let position = |name: &str| DAYS.iter().position(|day| *day == name);
    let mut days = [false; 7];
    for part in text.split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (first, last) = (position(first)?, position(last)?);
        let span = (last + 7 - first) % 7;
        for offset in 0..=span {
            *days.get_mut((first + offset) % 7)? = true;
        }
    }
    Some(days)
}

/// As it was written.
impl fmt::Display for Window {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} UTC", self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(window: &str, day: u8, hour: u16, minute: u16, inside: bool) {
        let window = Window::parse(window).expect("a window");
        assert_eq!(window.contains(day, hour * 60 + minute), inside, "{window} {day} {hour}");
    }

    #[test]
    fn the_start_is_inside_and_the_end_is_not() {
        check("mon-fri 08:00-18:00", 0, 8, 0, true);
        check("mon-fri 08:00-18:00", 4, 17, 59, true);
        check("mon-fri 08:00-18:00", 4, 18, 0, false);
        check("mon-fri 08:00-18:00", 5, 12, 0, false);
        check("sat,mon 00:00-24:00", 5, 23, 59, true);
    }

    #[test]
    fn a_night_belongs_to_the_day_it_starts_on() {
        check("fri 22:00-06:00", 4, 23, 0, true);
        check("fri 22:00-06:00", 5, 5, 59, true);
        check("fri 22:00-06:00", 4, 5, 0, false);
        check("sun-mon 22:00-06:00", 0, 1, 0, true);
        check("daily 22:00-06:00", 3, 6, 0, false);
    }

    #[test]
    fn nonsense_is_no_window() {
        for text in ["", "mon", "mon 8-9", "mon 08:00-08:00", "moo 08:00-09:00", "mon 08:61-09:00"]
        {
            assert!(Window::parse(text).is_err(), "{text}");
        }
        assert!(Window::parse("mon 25:00-26:00").is_err());
    }
}
