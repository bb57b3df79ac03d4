//! Columns as wide as what stands in them.

/// Lines for a header and rows, two spaces between columns.
pub(crate) fn table<const N: usize>(
    header: [&str; N],
    rows: impl Iterator<Item = [String; N]>,
) -> String {
    let mut lines: Vec<[String; N]> = vec![header.map(str::to_owned)];
    lines.extend(rows);
    let mut widths = [0; N];
    for line in &lines {
        for (width, cell) in widths.iter_mut().zip(line) {
            *width = cell.chars().count().max(*width);
        }
    }
    let mut out = String::new();
    for line in &lines {
        let cells = line.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}"));
        out += cells.collect::<Vec<_>>().join("  ").trim_end();
        out.push('\n');
    }
    out
}

#[cfg(test)]
mod tests {
    #[test]
    fn columns_are_as_wide_as_their_cells() {
        let rows = [["long name", "1"], ["b", "22"]].map(|row| row.map(str::to_owned));
        let table = super::table(["A", "B"], rows.into_iter());
        assert_eq!(table, "A          B\nlong name  1\nb          22\n");
    }
}
