//! Programs that some tasks start and that a machine may lack.

use std::env;

/// A program, and the Debian package that has it.
pub(crate) struct Program {
    pub(crate) name: &'static str,
    pub(crate) debian: &'static str,
}

impl Program {
    fn is_on_path(&self) -> bool {
        let file = format!("{}{}", self.name, env::consts::EXE_SUFFIX);
        env::var_os("PATH")
            .is_some_and(|path| env::split_paths(&path).any(|folder| folder.join(&file).is_file()))
    }
}

/// What to say about those that `PATH` does not have, if there are any.
pub(crate) fn missing(programs: &[Program]) -> Option<String> {
    let missing = || programs.iter().filter(|program| !program.is_on_path());
    let names: Vec<_> = missing().map(|program| format!("`{}`", program.name)).collect();
    let packages: Vec<_> = missing().map(|program| program.debian).collect();
    (!names.is_empty()).then(|| {
        format!("needs {}: on Debian, `apt-get install {}`", names.join(" and "), packages.join(" "))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_that_nobody_has_is_missing_and_its_package_named() {
        let programs = [
            Program { name: "nyx-no-such-program", debian: "none" },
            Program { name: "nyx-nor-this", debian: "other" },
        ];
        let wants = "needs `nyx-no-such-program` and `nyx-nor-this`: on Debian, `apt-get install none other`";
        assert_eq!(missing(&programs).as_deref(), Some(wants));
    }

    #[test]
    fn who_wants_nothing_misses_nothing() {
        assert_eq!(missing(&[]), None);
    }
}
