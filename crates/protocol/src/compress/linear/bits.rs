//! Bits in and out of bytes, the highest of each byte first.

/// Appends bits to bytes.
#[derive(Debug)]
pub(super) struct Writer<'a> {
    out: &'a mut Vec<u8>,
    /// Bits that are no whole byte yet, in the low `filled`.
    held: u64,
    filled: u32,
}

impl<'a> Writer<'a> {
    pub(super) const fn new(out: &'a mut Vec<u8>) -> Self {
        Self { out, held: 0, filled: 0 }
    }

    /// Appends the low `count` bits of `value`, 32 at most; those above must be 0.
    #[inline]
    pub(super) fn put(&mut self, value: u32, count: u32) {
        debug_assert!(count == 32 || value >> count == 0);
        self.held = self.held << count | u64::from(value);
        self.filled += count;
        while self.filled >= 8 {
            self.filled -= 8;
            self.out.push((self.held >> self.filled) as u8);
        }
    }

    /// Fills up the last byte.
    pub(super) fn finish(mut self) {
        if self.filled > 0 {
            self.put(0, 8 - self.filled);
        }
    }
}

/// Takes bits off bytes. Behind the end there are zeros, and [`finish`](Self::finish) says that there was not enough.
#[derive(Debug)]
pub(super) struct Reader<'a> {
    bytes: &'a [u8],
    /// The next bits, from the highest on.
    held: u64,
    filled: u32,
    /// Bits that were taken and not there.
    missing: u64,
}

impl<'a> Reader<'a> {
    pub(super) const fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, held: 0, filled: 0, missing: 0 }
    }

    /// Holds 32 bits at least, if there are as many.
    #[inline]
    fn fill(&mut self) {
        while self.filled <= 56 {
            let Some((&byte, rest)) = self.bytes.split_first() else { return };
            self.bytes = rest;
            self.held |= u64::from(byte) << (56 - self.filled);
            self.filled += 8;
        }
    }

    #[inline]
    fn skip(&mut self, count: u32) {
        self.missing += u64::from(count.saturating_sub(self.filled));
        self.filled = self.filled.saturating_sub(count);
        self.held = self.held.checked_shl(count).unwrap_or(0);
    }

    /// The next `count` bits, 0 to 32.
    #[inline]
    pub(super) fn take(&mut self, count: u32) -> u32 {
        self.fill();
        // In two steps, as a shift by 64 is none.
        let value = (self.held >> 1 >> (63 - count)) as u32;
        self.skip(count);
        value
    }

    /// The zeros in front of the next one, which is taken as well; or `max`, where there are as many, and nothing behind them.
    #[inline]
    pub(super) fn zeros(&mut self, max: u32) -> u32 {
        self.fill();
        let zeros = self.held.leading_zeros().min(max);
        self.skip(if zeros < max { zeros + 1 } else { zeros });
        zeros
    }

    pub(super) const fn is_beyond(&self) -> bool {
        self.missing > 0
    }

    /// Whether everything was taken but what fills up the last byte, and that is 0.
    pub(super) const fn finish(self) -> bool {
        self.missing == 0 && self.filled < 8 && self.bytes.is_empty() && self.held == 0
    }
}
