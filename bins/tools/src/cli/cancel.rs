//! `otto-cancel`

use super::program::{Program, RUN, optional};

/// The command line of `otto-cancel`.
pub static CANCEL: Program = Program {
    name: "otto-cancel",
    about: "End a task, or a whole run, as Ctrl-C would",
    examples: "  otto-cancel build        end the task build
  otto-cancel              end this run; from another terminal: the one run of yours
  otto-cancel --run 4711   end the run 4711",
    arguments: &[RUN, optional("TASK", "The task [default: all of the run]")],
    one_of: &[],
};
