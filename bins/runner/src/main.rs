//! The program `otto-run`.

fn main() -> std::process::ExitCode {
    otto_runner::main(std::env::args_os()).into()
}
