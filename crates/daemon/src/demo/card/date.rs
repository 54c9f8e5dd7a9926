//! The calendar, for the card's clock.

/// A moment in UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Date {
    pub(super) year: u64,
    /// 1 to 12.
    pub(super) month: u64,
    /// 1 to 31.
    pub(super) day: u64,
    pub(super) hour: u64,
    pub(super) minute: u64,
    pub(super) second: u64,
    pub(super) millisecond: u64,
}

impl Date {
    /// The proleptic Gregorian date of a Unix time.
    pub(super) fn from_unix_micros(micros: u64) -> Self {
        let milliseconds = micros / 1_000;
        let seconds = milliseconds / 1_000;
        let (year, month, day) = civil(seconds / 86_400);
        Self {
            year,
            month,
            day,
            hour: seconds / 3_600 % 24,
            minute: seconds / 60 % 60,
            second: seconds % 60,
            millisecond: milliseconds % 1_000,
        }
    }
}

/// Year, month and day, so many days after 1970-01-01.
fn civil(days: u64) -> (u64, u64, u64) {
    // Counted from 1600-03-01: then the leap day is a year's last, and a cycle of 400 years starts.
    let days = days + 135_080;
    let (cycle, day) = (days / CYCLE_DAYS, days % CYCLE_DAYS);
    // The last day of a century, a leap cycle and a year would count as the next one's first.
    let century = (day / CENTURY_DAYS).min(3);
    let day = day - century * CENTURY_DAYS;
    let four = day / FOUR_YEARS_DAYS;
    let day = day - four * FOUR_YEARS_DAYS;
    let single = (day / 365).min(3);
    let mut day = day - single * 365;

    let mut month = 0;
    while day >= MONTH_DAYS[month] {
        day -= MONTH_DAYS[month];
        month += 1;
    }
    let year = 1600 + 400 * cycle + 100 * century + 4 * four + single;
    let january = month >= 10;
    (year + u64::from(january), (month as u64 + 2) % 12 + 1, day + 1)
}

/// From March to February.
const MONTH_DAYS: [u64; 12] = [31, 30, 31, 30, 31, 31, 30, 31, 30, 31, 31, 29];

const FOUR_YEARS_DAYS: u64 = 4 * 365 + 1;

const CENTURY_DAYS: u64 = 25 * FOUR_YEARS_DAYS - 1;

const CYCLE_DAYS: u64 = 4 * CENTURY_DAYS + 1;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_that_calendars_get_wrong() {
        let known = [
            (0, (1970, 1, 1)),
            (58, (1970, 2, 28)),
            (59, (1970, 3, 1)),
            (789, (1972, 2, 29)),
            (11_016, (2000, 2, 29)),
            (11_017, (2000, 3, 1)),
            (11_322, (2000, 12, 31)),
            (20_487, (2026, 2, 3)),
            (47_540, (2100, 2, 28)),
            (47_541, (2100, 3, 1)),
        ];
        for (days, date) in known {
            assert_eq!(civil(days), date, "{days}");
        }
    }

    #[test]
    fn each_day_follows_the_one_before() {
        let mut before = civil(0);
        for days in 1..CYCLE_DAYS {
            let after = civil(days);
            let (year, month, day) = before;
            let next = [(year, month, day + 1), (year, month + 1, 1), (year + 1, 1, 1)];
            assert!(next.contains(&after), "{before:?} {after:?}");
            before = after;
        }
        assert_eq!(before, (2369, 12, 31));
    }

    #[test]
    fn the_time_of_day_goes_to_the_millisecond() {
        let date = Date::from_unix_micros(1_770_091_506_789_999);
        assert_eq!((date.hour, date.minute, date.second, date.millisecond), (4, 5, 6, 789));
    }
}
