//! The end of a dataset's file: `[JSON about it][u64 size][u64 generation][u32 length of the JSON]
//! [u32 CRC-32 of everything before, from the JSON on]["OTTODS01"]`, little-endian.

use super::dataset::DatasetInfo;
use crate::json::Json;
use crate::limits::DATASET_ABOUT_BYTES_MAX;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

const MAGIC: [u8; 8] = *b"OTTODS01";
/// Bytes of the footer after its JSON.
const FIXED: usize = 32;

pub(super) struct Footer;

impl Footer {
    pub(super) fn encode(info: &DatasetInfo) -> Vec<u8> {
        let about = info.about.as_str().as_bytes();
        let mut out = Vec::with_capacity(about.len() + FIXED);
        out.extend_from_slice(about);
        out.extend_from_slice(&info.size.to_le_bytes());
        out.extend_from_slice(&info.generation.to_le_bytes());
        out.extend_from_slice(&(about.len() as u32).to_le_bytes());
        let crc = crc32fast::hash(&out);
        out.extend_from_slice(&crc.to_le_bytes());
        out.extend_from_slice(&MAGIC);
        out
    }

    /// Reads the footer of a `file` of `length` bytes. A file without one, as another program puts
    /// there, is all dataset. `None` when there is a footer and it is damaged.
    pub(super) fn read(file: &File, length: u64) -> io::Result<Option<DatasetInfo>> {
        let foreign = DatasetInfo { size: length, generation: 0, about: Json::null() };
        let Some(fixed_at) = length.checked_sub(FIXED as u64) else { return Ok(Some(foreign)) };
        let mut fixed = [0; FIXED];
        file.read_exact_at(&mut fixed, fixed_at)?;
        if fixed[24..] != MAGIC {
            return Ok(Some(foreign));
        }
        let about_length = u64::from(u32_at(&fixed, 16));
        if about_length > DATASET_ABOUT_BYTES_MAX as u64 || about_length > fixed_at {
            return Ok(None);
        }
        let mut footer = vec![0; about_length as usize + FIXED];
        let size = fixed_at - about_length;
        file.read_exact_at(&mut footer, size)?;
        let checked = about_length as usize + 20;
        let whole =
            u64_at(&fixed, 0) == size && u32_at(&fixed, 20) == crc32fast::hash(&footer[..checked]);
        let about = Json::parse_bytes(&footer[..about_length as usize]).ok();
        Ok(about.filter(|_| whole).map(|about| DatasetInfo {
            size,
            generation: u64_at(&fixed, 8),
            about,
        }))
    }
}

fn u32_at(bytes: &[u8; FIXED], at: usize) -> u32 {
    bytes[at..].first_chunk().map_or(0, |chunk| u32::from_le_bytes(*chunk))
}

fn u64_at(bytes: &[u8; FIXED], at: usize) -> u64 {
    bytes[at..].first_chunk().map_or(0, |chunk| u64::from_le_bytes(*chunk))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn read(bytes: &[u8]) -> Option<DatasetInfo> {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(bytes).unwrap();
        Footer::read(&file, bytes.len() as u64).unwrap()
    }

    #[test]
    fn footers_come_back_and_damage_shows() {
        let about = Json::parse(r#"{"dtype":"<f8","shape":[2,3]}"#).unwrap();
        let info = DatasetInfo { size: 5, generation: 7, about };
        let mut bytes = b"bytes".to_vec();
        bytes.extend(Footer::encode(&info));
        assert_eq!(read(&bytes), Some(info.clone()));
        for bit in 5 * 8..(bytes.len() - MAGIC.len()) * 8 {
            let mut damaged = bytes.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(read(&damaged), None, "bit {bit}");
        }
        // Without the magic it is anybody's file.
        assert_eq!(read(&bytes[..bytes.len() - 1]).unwrap().generation, 0);
        assert_eq!(read(b"").unwrap().size, 0);
    }
}
