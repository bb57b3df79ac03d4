//! The header of .npy files, which `numpy.load` reads, also mapped into memory.

/// Where the elements begin: at a multiple of this.
const ALIGNMENT: usize = 64;

/// The header of a file with elements of `dtype`, a literal of Python's, in C order.
pub(crate) fn header(dtype: &str, shape: &[isize]) -> Vec<u8> {
    let mut text = format!("{{'descr': {dtype}, 'fortran_order': False, 'shape': (");
    for length in shape {
        text += &format!("{length}, ");
    }
    text += "), }";
    // Field names in other letters than Latin ones need the third form, long headers the second.
    let version = match text.len() {
        _ if !text.is_ascii() => 3,
        0..=0xff00 => 1,
        _ => 2,
    };
    let fixed = if version == 1 { 10 } else { 12 };
    let total = (fixed + text.len() + 1).next_multiple_of(ALIGNMENT);
    let length = total - fixed;
    let mut header = b"\x93NUMPY".to_vec();
    header.extend([version, 0]);
    match u16::try_from(length) {
        Ok(length) if version == 1 => header.extend(length.to_le_bytes()),
        // A label holds the same text, and bounds it.
        _ => header.extend(u32::try_from(length).unwrap_or(u32::MAX).to_le_bytes()),
    }
    header.extend(text.as_bytes());
    header.resize(total - 1, b' ');
    header.push(b'\n');
    header
}
