//! Which tasks run: those asked for and all they need.

use crate::config::Config;
use crate::graph::{ALL, Graph, Names};

/// For each task whether it runs. `asked` comes from the command line; without it `otto.tasks`
/// decides, and without that everything runs.
pub(crate) fn select(
    config: &Config,
    graph: &Graph,
    asked: &[String],
) -> Result<Vec<bool>, String> {
    let names = Names::of(config);
    let wanted: Vec<&str> = if asked.is_empty() {
        config.default_tasks.iter().map(|entry| entry.text.as_str()).collect()
    } else {
        asked.iter().map(String::as_str).collect()
    };
    if asked.is_empty() && (wanted.is_empty() || wanted.contains(&ALL)) {
        return Ok(vec![true; graph.len()]);
    }
    let mut chosen = vec![false; graph.len()];
    let mut open = wanted.iter().map(|name| names.get(name)).collect::<Result<Vec<_>, _>>()?;
    while let Some(task) = open.pop() {
        if !chosen[task] {
            chosen[task] = true;
            open.extend(&graph.needs[task]);
        }
    }
    Ok(chosen)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn selected(head: &str, asked: &[&str]) -> Result<Vec<bool>, String> {
        let text = format!(
            "{head}\ntasks:\n  a: {{bash: x}}\n  b: {{bash: x, before: [a]}}\n  c: {{bash: x}}"
        );
        let config = crate::config::parse(&text).unwrap();
        let graph = Graph::new(&config).unwrap();
        let asked: Vec<String> = asked.iter().map(ToString::to_string).collect();
        select(&config, &graph, &asked)
    }

    #[test]
    fn asked_for_then_default_then_all() {
        assert_eq!(selected("", &["b"]).unwrap(), [true, true, false]);
        assert_eq!(selected("otto: {tasks: [c]}", &[]).unwrap(), [false, false, true]);
        assert_eq!(selected("otto: {tasks: [c]}", &["a"]).unwrap(), [true, false, false]);
        assert_eq!(selected("otto: {tasks: ['*']}", &[]).unwrap(), [true; 3]);
        assert_eq!(selected("", &[]).unwrap(), [true; 3]);
        assert!(selected("", &["bb"]).unwrap_err().contains("did you mean \"b\"?"));
    }
}
