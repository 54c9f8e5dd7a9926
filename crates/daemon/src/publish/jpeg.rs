//! Cuts a stream of JPEG images into images (ITU-T T.81, annex B).
//!
//! The markers are followed, segment by segment: a thumbnail inside an APP segment has markers too, and only the length
//! of its segment tells that they are not the image's own.

use bytes::{Buf, Bytes, BytesMut};

/// A JPEG stream as it comes, in pieces of any size. Between images anything may stand, such as multipart boundaries.
#[derive(Debug)]
pub(crate) struct Splitter {
    buffer: BytesMut,
    /// Up to where `buffer` is understood.
    at: usize,
    place: Place,
    image_max: usize,
    damaged: u64,
}

/// What comes at `at`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// Perhaps the start of an image.
    Outside,
    /// A marker.
    Marker,
    /// Entropy-coded data up to the next marker.
    Scan,
}

/// What a look at the buffer found.
enum Step {
    /// Understood up to here; there may be more.
    On,
    /// The image ends here.
    End,
    /// The image can't go on like this; the next one may begin at this offset.
    Broken(usize),
    /// More bytes are needed.
    Starved,
}

impl Splitter {
    /// Takes images of at most `image_max` bytes; larger ones count as damaged.
    pub(crate) fn new(image_max: usize) -> Self {
        Self { buffer: BytesMut::new(), at: 0, place: Place::Outside, image_max, damaged: 0 }
    }

    /// Appends what was read.
    pub(crate) fn push(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// The next whole image. `None`: push more.
    pub(crate) fn next_image(&mut self) -> Option<Bytes> {
        loop {
            if self.place == Place::Outside && !self.find_start() {
                return None;
            }
            match self.step() {
                Step::On => {}
                Step::End => {
                    let image = self.buffer.split_to(self.at).freeze();
                    self.leave();
                    return Some(image);
                }
                Step::Broken(next) => self.give_up(next),
                Step::Starved if self.buffer.len() > self.image_max => self.give_up(self.image_max),
                Step::Starved => return None,
            }
        }
    }

    /// How many images were not whole. At the end of the stream one may be left in the middle.
    pub(crate) fn damaged(&self) -> u64 {
        self.damaged + u64::from(self.place != Place::Outside)
    }

    /// Throws away what stands before an image. True when one begins.
    fn find_start(&mut self) -> bool {
        let start = self.buffer.windows(START.len()).position(|window| window == START);
        let junk = start.unwrap_or_else(|| self.buffer.len().saturating_sub(START.len() - 1));
        self.buffer.advance(junk);
        if start.is_some() {
            (self.at, self.place) = (2, Place::Marker);
        }
        start.is_some()
    }

    fn step(&mut self) -> Step {
        if self.at >= self.image_max {
            return self.too_large();
        }
        match self.place {
            Place::Outside => Step::Starved,
            Place::Marker => self.marker(),
            Place::Scan => self.scan(),
        }
    }

    /// A marker and the segment that it begins.
    fn marker(&mut self) -> Step {
        let rest = self.buffer.get(self.at..).unwrap_or_default();
        // Any number of fill bytes may precede a marker.
        let fill = rest.iter().take_while(|byte| **byte == PREFIX).count();
        let Some(&code) = rest.get(fill) else { return Step::Starved };
        let after = self.at + fill + 1;
        match code {
            _ if fill == 0 => Step::Broken(BEHIND_START),
            _ if after > self.image_max => self.too_large(),
            END => {
                self.at = after;
                Step::End
            }
            // Another image begins, so this one was cut off.
            0xD8 => Step::Broken(self.at),
            0x01 | 0xD0..=0xD7 => self.go(after, Place::Marker),
            0x00 | 0x02..=0xBF => Step::Broken(BEHIND_START),
            _ if after + 2 >= self.image_max => self.too_large(),
            _ => {
                let Some(length) = rest.get(fill + 1..fill + 3) else { return Step::Starved };
                let length = usize::from(u16::from_be_bytes([length[0], length[1]]));
                match length {
                    0 | 1 => Step::Broken(BEHIND_START),
                    // `at` may lie beyond what is there: what comes next waits for it.
                    _ => self
                        .go(after + length, if code == START_OF_SCAN { Place::Scan } else { Place::Marker }),
                }
            }
        }
    }

    /// Entropy-coded data: an 0xFF in it is followed by a zero or by a restart marker.
    fn scan(&mut self) -> Step {
        let rest = self.buffer.get(self.at..).unwrap_or_default();
        let Some(offset) = rest.iter().position(|byte| *byte == PREFIX) else {
            self.at = self.at.max(self.buffer.len());
            return Step::Starved;
        };
        match rest.get(offset + 1) {
            None => {
                self.at += offset;
                Step::Starved
            }
            Some(0x00 | 0xD0..=0xD7) => self.go(self.at + offset + 2, Place::Scan),
            Some(_) => self.go(self.at + offset, Place::Marker),
        }
    }

    /// The image does not end within the limit. All of it up to there is skipped, whatever else has come: in what pieces a stream
    /// arrives makes no difference.
    fn too_large(&self) -> Step {
        if self.buffer.len() < self.image_max { Step::Starved } else { Step::Broken(self.image_max) }
    }

    fn go(&mut self, at: usize, place: Place) -> Step {
        (self.at, self.place) = (at, place);
        Step::On
    }

    /// Counts the present image as damaged, and throws it away up to `next`.
    fn give_up(&mut self, next: usize) {
        self.damaged += 1;
        self.buffer.advance(next.max(BEHIND_START).min(self.buffer.len()));
        self.leave();
    }

    fn leave(&mut self) {
        (self.at, self.place) = (0, Place::Outside);
    }
}

/// What every JPEG begins with: start of image, and the first byte of the next marker.
pub(crate) const START: [u8; 3] = [PREFIX, 0xD8, PREFIX];

/// Where to look for another image when the present one makes no sense from somewhere on.
const BEHIND_START: usize = 2;

const PREFIX: u8 = 0xFF;
const END: u8 = 0xD9;
const START_OF_SCAN: u8 = 0xDA;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const MAX: usize = 1 << 20;

    fn split(stream: &[u8], sizes: &[usize]) -> (Vec<Bytes>, u64) {
        let mut splitter = Splitter::new(MAX);
        let mut images = Vec::new();
        let mut rest = stream;
        let mut sizes = sizes.iter().copied().cycle();
        while !rest.is_empty() {
            let (piece, more) = rest.split_at(sizes.next().unwrap_or(usize::MAX).clamp(1, rest.len()));
            splitter.push(piece);
            images.extend(std::iter::from_fn(|| splitter.next_image()));
            rest = more;
        }
        (images, splitter.damaged())
    }

    fn segment(code: u8, content: &[u8]) -> Vec<u8> {
        let length = u16::try_from(content.len() + 2).unwrap().to_be_bytes();
        [&[PREFIX, code], &length[..], content].concat()
    }

    /// An image with a thumbnail in an APP segment and markers in its comment, all of which are not its own.
    fn tricky(filler: u8) -> Vec<u8> {
        let thumbnail = [&[0xFF, 0xD8][..], &segment(0xDB, &[7; 4]), &[0xFF, END, filler]].concat();
        [
            &[0xFF, 0xD8][..],
            &segment(0xE1, &thumbnail),
            &[0xFF, 0xFF, 0xFF],
            &segment(0xFE, &[0xFF, END, 0xFF, 0xD8, 0xFF])[1..],
            &segment(START_OF_SCAN, &[1, 2, 0xFF, END]),
            &[filler & 0x7F, 0xFF, 0x00, END, 0xFF, 0xD3, 1],
            // A second scan, as progressive images have.
            &segment(0xC4, &[0xFF, END]),
            &segment(START_OF_SCAN, &[0]),
            &[9, 0xFF, 0x00, 0xFF, 0xFF, END],
        ]
        .concat()
    }

    fn encoded(side: u16) -> Vec<u8> {
        let mut jpeg = Vec::new();
        let pixels: Vec<u8> = (0..usize::from(side).pow(2) * 3).map(|n| (n * n / 7) as u8).collect();
        let encoder = jpeg_encoder::Encoder::new(&mut jpeg, 90);
        encoder.encode(&pixels, side, side, jpeg_encoder::ColorType::Rgb).unwrap();
        jpeg
    }

    #[test]
    fn thumbnails_and_stuffed_bytes_do_not_split() {
        let images = [tricky(1), encoded(33), tricky(0xFF)];
        assert_eq!(split(&images.concat(), &[]), (images.map(Bytes::from).to_vec(), 0));
    }

    #[test]
    fn what_stands_between_images_is_passed_over() {
        let stream =
            [&b"--boundary\r\nContent-Type: image/jpeg\r\n\r\n"[..], &encoded(8), b"\r\n--", &tricky(3)]
                .concat();
        assert_eq!(split(&stream, &[1]), (vec![encoded(8).into(), tricky(3).into()], 0));
    }

    #[test]
    fn a_cut_off_image_is_counted_and_the_next_one_found() {
        let whole = encoded(16);
        let stream = [&whole[..whole.len() - 40], &whole, &whole[..30]].concat();
        assert_eq!(split(&stream, &[7]), (vec![whole.clone().into()], 2));
        let thumbnail_not_taken = [&tricky(4)[..tricky(4).len() - 1], &tricky(5)].concat();
        assert_eq!(split(&thumbnail_not_taken, &[]), (vec![tricky(5).into()], 1));
        let bad_segment = [&[0xFF, 0xD8, 0xFF, 0xE0, 0, 1][..], &whole].concat();
        assert_eq!(split(&bad_segment, &[]), (vec![whole.into()], 1));
    }

    #[test]
    fn an_endless_image_is_given_up() {
        let mut splitter = Splitter::new(1000);
        splitter.push(&[&[0xFF, 0xD8][..], &segment(START_OF_SCAN, &[0]), &[1; 2000]].concat());
        assert_eq!(splitter.next_image(), None);
        splitter.push(&encoded(8));
        assert_eq!(splitter.next_image(), Some(encoded(8).into()));
        assert_eq!(splitter.damaged(), 1);
    }

    proptest! {
        #[test]
        fn cuts_change_nothing(
            fillers in prop::collection::vec(any::<u8>(), 1..5),
            sizes in prop::collection::vec(1_usize..40, 1..8),
        ) {
            let images: Vec<Bytes> = fillers.into_iter().map(|filler| tricky(filler).into()).collect();
            prop_assert_eq!(split(&images.concat(), &sizes), (images, 0));
        }

        #[test]
        fn no_bytes_panic_and_memory_is_bounded(
            pieces in prop::collection::vec(
                prop::collection::vec(prop_oneof![Just(0xFF_u8), Just(0xD8), Just(0xDA), Just(END), Just(0), any::<u8>()], 0..60),
                0..20,
            ),
        ) {
            let mut splitter = Splitter::new(64);
            for piece in pieces {
                splitter.push(&piece);
                while let Some(image) = splitter.next_image() {
                    prop_assert!(image.starts_with(&START) && image.ends_with(&[END]));
                }
                prop_assert!(splitter.buffer.len() <= 64);
            }
        }
    }
}
