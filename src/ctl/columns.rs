//! Tables of text whose columns line up.

/// On which side of its column a cell stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Align {
    Left,
    Right,
}

/// A line of heads and a line for each row; two spaces between columns, none at the end.
pub(super) fn table<const N: usize>(
    heads: &[(&str, Align); N],
    rows: impl IntoIterator<Item = [String; N]>,
) -> String {
    let mut lines = vec![heads.map(|(head, _)| head.to_owned())];
    lines.extend(rows);
    let widest = |column: usize| {
        let cells = lines.iter().filter_map(|line| line.get(column));
        cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<_> = (0..N).map(widest).collect();
    let mut text = String::new();
    for line in &lines {
        let cells = line.iter().zip(heads).zip(&widths);
        let cells: Vec<_> = cells
            .map(|((cell, (_, align)), width)| match align {
                Align::Left => format!("{cell:<width$}"),
                Align::Right => format!("{cell:>width$}"),
            })
            .collect();
        text.push_str(cells.join("  ").trim_end());
        text.push('\n');
    }
    text
}

/// The same text, cut where the width of a line is known.
pub(super) fn fit(text: String, width: Option<usize>) -> String {
    match width {
        Some(width) => cut(&text, width),
        None => text,
    }
}

/// The same text with no line longer than `width` characters; one that was ends with `>`, for half a
/// port is another port.
pub(super) fn cut(text: &str, width: usize) -> String {
    let cut = |line: &str| -> String {
        let (part, mark) = match line.chars().count() > width {
            true => (width.saturating_sub(1), ">\n"),
            false => (width, "\n"),
        };
        line.chars().take(part).chain(mark.chars()).collect()
    };
    text.lines().map(cut).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up_and_lines_end_without_spaces() {
        let heads = [("A", Align::Left), ("COUNT", Align::Right), ("C", Align::Left)];
        let rows = [["long", "7", "x"], ["ä", "123456", ""]].map(|row| row.map(str::to_owned));
        assert_eq!(table(&heads, rows), "A      COUNT  C\nlong       7  x\nä     123456\n");
    }

    #[test]
    fn a_line_is_cut_by_characters() {
        assert_eq!(cut("äöü\näö\nx\n", 2), "ä>\näö\nx\n");
    }
}
