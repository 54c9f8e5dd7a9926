//! Numbers and columns as text.

use std::io::{self, Write};

/// A number with its thousands set apart.
pub(crate) fn grouped(value: f64) -> String {
    let digits = format!("{value:.0}");
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Writes lines as columns two spaces apart: the first `words` of them to the left, then numbers to the right, and the
/// last as it is. A column in which no line has anything is left out.
pub(crate) fn aligned<const N: usize>(
    out: &mut impl Write,
    lines: &[[String; N]],
    words: usize,
) -> io::Result<()> {
    let widths: [usize; N] = std::array::from_fn(|column| {
        lines.iter().map(|line| line[column].chars().count()).max().unwrap_or_default()
    });
    for line in lines {
        let mut text = String::new();
        for (index, (value, width)) in
            line.iter().zip(widths).enumerate().filter(|(_, (_, width))| *width > 0)
        {
            let gap = if text.is_empty() { "" } else { "  " };
            text.push_str(&match index {
                _ if index + 1 == N => format!("{gap}{value}"),
                _ if index < words => format!("{gap}{value:<width$}"),
                _ => format!("{gap}{value:>width$}"),
            });
        }
        writeln!(out, "{}", text.trim_end())?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousands_are_set_apart() {
        assert_eq!(grouped(999.4), "999");
        assert_eq!(grouped(1_000.0), "1,000");
        assert_eq!(grouped(11_300_000.0), "11,300,000");
    }

    #[test]
    fn words_stand_to_the_left_and_numbers_to_the_right() {
        let lines =
            [["row", "", "ns", "aim"], ["check", "", "9.5", "PASS"]].map(|line| line.map(str::to_owned));
        let mut text = Vec::new();
        assert!(aligned(&mut text, &lines, 1).is_ok());
        assert_eq!(String::from_utf8_lossy(&text), "row     ns  aim\ncheck  9.5  PASS\n");
    }
}
