//! The name somebody probably meant.

/// A sentence that leads from `wrong` to one of `known`: the nearest when it is near, else some.
pub(crate) fn suggestion<'a>(wrong: &str, known: impl Iterator<Item = &'a str>) -> String {
    const SHOWN_MAX: usize = 12;
    let known: Vec<&str> = known.collect();
    let nearest = known.iter().map(|name| (distance(wrong, name), *name)).min();
    match nearest {
        Some((distance, name)) if distance <= (wrong.chars().count() / 2).max(1) => {
            format!("did you mean {name:?}?")
        }
        None => "there is none".to_owned(),
        Some(_) => {
            let more = if known.len() > SHOWN_MAX { ", ..." } else { "" };
            let shown = &known[..known.len().min(SHOWN_MAX)];
            format!("known: {}{more}", shown.join(", "))
        }
    }
}

/// Insertions, deletions, replacements and swaps of neighbours between two names.
fn distance(a: &str, b: &str) -> usize {
    let fold = |text: &str| text.chars().flat_map(char::to_lowercase).take(100).collect::<Vec<_>>();
    let (a, b) = (fold(a), fold(b));
    let mut rows = vec![vec![0; b.len() + 1]; a.len() + 1];
    for i in 0..=a.len() {
        for j in 0..=b.len() {
            rows[i][j] = if i == 0 || j == 0 {
                i + j
            } else {
                let replaced = rows[i - 1][j - 1] + usize::from(a[i - 1] != b[j - 1]);
                let mut least = replaced.min(rows[i - 1][j] + 1).min(rows[i][j - 1] + 1);
                if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                    least = least.min(rows[i - 2][j - 2] + 1);
                }
                least
            };
        }
    }
    rows[a.len()][b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances() {
        assert_eq!(distance("befor", "before"), 1);
        assert_eq!(distance("bfeore", "before"), 1);
        assert_eq!(distance("", "abc"), 3);
        assert_eq!(distance("Bash", "bash"), 0);
    }

    #[test]
    fn near_names_are_suggested_and_far_ones_listed() {
        let known = || ["before", "bash", "after"].into_iter();
        assert_eq!(suggestion("befor", known()), "did you mean \"before\"?");
        assert_eq!(suggestion("zzzzzz", known()), "known: before, bash, after");
    }
}
