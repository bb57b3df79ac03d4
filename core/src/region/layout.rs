//! Every offset of the two files of a document. `docs/region-format.md` says the same in prose,
//! and `tests/vectors/` holds both files byte for byte.

use crate::limits::DOCUMENT_BYTES_MAX;
use std::ops::Range;
use twox_hash::XxHash3_64;

/// First bytes of a control file.
pub(super) const MAGIC: [u8; 8] = *b"OTTOSHM1";
/// The only version there is.
pub(super) const VERSION: u32 = 1;

/// Offsets in the control file. All integers are little-endian.
pub(super) mod offset {
    pub(in crate::region) const MAGIC: usize = 0x000;
    pub(in crate::region) const VERSION: usize = 0x008;
    pub(in crate::region) const HEADER_LENGTH: usize = 0x00C;
    /// 16 random bytes that tell this control file from its predecessors of the same name.
    pub(in crate::region) const UUID: usize = 0x010;
    /// u64: inode number of the public file.
    pub(in crate::region) const INODE: usize = 0x020;
    /// u64: even, the public file is the truth; odd, the journal is.
    pub(in crate::region) const SEQUENCE: usize = 0x040;
    /// u32: counts writes, for waiters; the futex they sleep on.
    pub(in crate::region) const NOTIFY: usize = 0x048;
    /// u32: not 0 while somebody may be asleep on `NOTIFY`.
    pub(in crate::region) const WAITED_FOR: usize = 0x04C;
    /// u32: not 0 while a writer has long been waiting for the lock; the futex it sleeps on.
    pub(in crate::region) const STARVING: usize = 0x050;
    /// u64: the value of `SEQUENCE` that the journal belongs to.
    pub(in crate::region) const JOURNAL_SEQUENCE: usize = 0x0C0;
    /// u32: length of the JSON in the journal.
    pub(in crate::region) const JOURNAL_LENGTH: usize = 0x0C8;
    /// u32: CRC-32 of the image in the journal.
    pub(in crate::region) const JOURNAL_CRC: usize = 0x0CC;
    /// u32: process that took the lock last; only for messages.
    pub(in crate::region) const WRITER: usize = 0x100;
    /// The journal: an image as it stands in the public file.
    pub(in crate::region) const JOURNAL: u64 = 0x1000;
}

/// Size of the head of the control file, in bytes.
pub(super) const HEADER_BYTES: usize = 0x1000;
const _: () = assert!(offset::JOURNAL == HEADER_BYTES as u64);

/// Images up to this size are stored into the journal through the mapping, without a system call.
pub(super) const JOURNAL_MAPPED_BYTES: usize = 0x1000;
/// Size of the mapped start of the control file, in bytes.
pub(super) const MAPPED_BYTES: usize = HEADER_BYTES + JOURNAL_MAPPED_BYTES;

/// What an image adds to its JSON: a length before it and a CRC after it.
pub(super) const FRAME_BYTES: usize = 8;
/// Of these, the CRC.
pub(super) const CRC_BYTES: usize = 4;
/// What follows the CRC of a small image: XXH3-64 of everything before.
pub(super) const SEAL_BYTES: usize = 8;
/// Images up to this size, seal included, bear one.
pub(super) const SEALED_BYTES_MAX: usize = 0x1000;
/// Longest image, in bytes.
pub(super) const IMAGE_BYTES_MAX: usize = DOCUMENT_BYTES_MAX + FRAME_BYTES;
/// A length that no image has: stands in a public file that has lost its name.
pub(super) const REMOVED: [u8; 4] = u32::MAX.to_le_bytes();

/// The head of a new control file.
pub(super) fn new_header(uuid: [u8; 16]) -> Vec<u8> {
    let mut header = vec![0; HEADER_BYTES];
    let mut put = |at: usize, bytes: &[u8]| header[at..at + bytes.len()].copy_from_slice(bytes);
    put(offset::MAGIC, &MAGIC);
    put(offset::VERSION, &VERSION.to_le_bytes());
    put(offset::HEADER_LENGTH, &(HEADER_BYTES as u32).to_le_bytes());
    put(offset::UUID, &uuid);
    header
}

/// Whether `start`, the first 16 bytes of a control file, are those of this version.
pub(super) fn is_header(start: &[u8; 16]) -> bool {
    *start == new_header([0; 16])[..16]
}

/// Makes `image` that of `json` (at most [`DOCUMENT_BYTES_MAX`] bytes); returns its CRC.
pub(super) fn encode(json: &[u8], image: &mut Vec<u8>) -> u32 {
    image.clear();
    image.extend_from_slice(&(json.len() as u32).to_le_bytes());
    image.extend_from_slice(json);
    let crc = crc32fast::hash(image);
    image.extend_from_slice(&crc.to_le_bytes());
    if image.len() + SEAL_BYTES <= SEALED_BYTES_MAX {
        image.extend_from_slice(&XxHash3_64::oneshot(image).to_le_bytes());
    }
    crc
}

/// Size of an image whose JSON ends at `end`, its seal included.
pub(super) fn size_of_image(end: usize) -> usize {
    let checked = end + CRC_BYTES;
    if checked + SEAL_BYTES <= SEALED_BYTES_MAX { checked + SEAL_BYTES } else { checked }
}

/// The JSON of an image that proves by itself, with CRC and seal together 96 bits, that it is
/// whole: no sequence number has to be asked.
pub(super) fn sealed(bytes: &[u8]) -> Option<Range<usize>> {
    let Image::Whole(json) = decode(bytes) else { return None };
    let checked = json.end + CRC_BYTES;
    let seal = bytes.get(checked..)?.first_chunk()?;
    let size = checked + SEAL_BYTES;
    let whole = size <= SEALED_BYTES_MAX
        && u64::from_le_bytes(*seal) == XxHash3_64::oneshot(&bytes[..checked]);
    whole.then_some(json)
}

/// What the first bytes of a file, or all of them, turn out to be.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Image {
    /// JSON at this range, with a good CRC; or an empty document.
    Whole(Range<usize>),
    /// The length is plausible, the CRC is wrong or missing.
    Unchecked(Range<usize>),
    /// This many bytes are needed to tell.
    Longer(usize),
    /// The length is above every limit.
    Impossible,
}

/// Judges `bytes`, which need not be the whole file: see [`Image::Longer`].
pub(super) fn decode(bytes: &[u8]) -> Image {
    let Some(length) = bytes.first_chunk() else { return Image::Longer(FRAME_BYTES) };
    let length = u32::from_le_bytes(*length) as usize;
    if length == 0 {
        return Image::Whole(4..4);
    }
    if length > DOCUMENT_BYTES_MAX {
        return Image::Impossible;
    }
    let end = 4 + length;
    match bytes.get(end..).and_then(|rest| rest.first_chunk()) {
        None => Image::Longer(length + FRAME_BYTES),
        Some(crc) if u32::from_le_bytes(*crc) == crc32fast::hash(&bytes[..end]) => {
            Image::Whole(4..end)
        }
        Some(_) => Image::Unchecked(4..end),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_damage_to_an_image_shows() {
        let mut image = Vec::new();
        encode(br#"{"a":1}"#, &mut image);
        assert_eq!(decode(&image), Image::Whole(4..11));
        assert_eq!(decode(&image[..3]), Image::Longer(8));
        assert_eq!(decode(&image[..14]), Image::Longer(15));
        assert_eq!(decode(&[0; 4]), Image::Whole(4..4));
        assert_eq!(decode(&[0xFF; 64]), Image::Impossible);
        for bit in 0..image.len() * 8 {
            let mut damaged = image.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(sealed(&damaged), None, "bit {bit}");
            // The CRC guards all that stands before the seal.
            assert_eq!(decode(&damaged) == Image::Whole(4..11), bit >= 15 * 8, "bit {bit}");
        }
        assert_eq!(sealed(&image), Some(4..11));
        assert_eq!(sealed(&image[..22]), None);
    }

    #[test]
    fn small_images_are_sealed() {
        let mut image = Vec::new();
        for (json, size) in [(4080, 4096), (4081, 4089)] {
            encode(&vec![b'1'; json], &mut image);
            assert_eq!((image.len(), size_of_image(4 + json)), (size, size));
            assert_eq!(sealed(&image).is_some(), size == 4096);
        }
    }
}
