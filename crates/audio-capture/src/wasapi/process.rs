//! Other processes: what their program is called, and whether they still run.
#![expect(unsafe_code, reason = "calls of the operating system for which there is no safe wrapper")]

use std::os::windows::io::{AsRawHandle as _, FromRawHandle as _, OwnedHandle};
use std::path::Path;

use windows::Win32::Foundation::{ERROR_INVALID_PARAMETER, HANDLE, WAIT_OBJECT_0};
use windows::Win32::System::Threading::{
    OpenProcess, PROCESS_NAME_WIN32, PROCESS_QUERY_LIMITED_INFORMATION, PROCESS_SYNCHRONIZE,
    QueryFullProcessImageNameW, WaitForSingleObject,
};
use windows::core::{Error, PWSTR, Result};

/// A process that runs, or ran when it was opened: its number is nobody else's meanwhile.
pub(super) struct Process(OwnedHandle);

impl Process {
    /// Fails where there is no such process, and where we may know nothing of it: [`is_absent`] tells which.
    pub(super) fn open(id: u32) -> Result<Self> {
        let rights = PROCESS_QUERY_LIMITED_INFORMATION | PROCESS_SYNCHRONIZE;
        // SAFETY: no pointers.
        let handle = unsafe { OpenProcess(rights, false, id)? };
        // SAFETY: the handle is open, and nobody else has it.
        Ok(Self(unsafe { OwnedHandle::from_raw_handle(handle.0) }))
    }

    pub(super) fn has_ended(&self) -> bool {
        // SAFETY: the handle is open, and may be waited for; this does not wait.
        unsafe { WaitForSingleObject(self.handle(), 0) == WAIT_OBJECT_0 }
    }

    /// The file name of its program.
    pub(super) fn program(&self) -> Option<String> {
        let mut path = [0_u16; PATH_MAX];
        let mut len = PATH_MAX as u32;
        let text = PWSTR(path.as_mut_ptr());
        // SAFETY: the handle is open, and the buffer as long as `len` says, which the call sets to what it wrote.
        unsafe { QueryFullProcessImageNameW(self.handle(), PROCESS_NAME_WIN32, text, &raw mut len) }.ok()?;
        let path = String::from_utf16_lossy(path.get(..len as usize)?);
        Some(Path::new(&path).file_name()?.to_string_lossy().into_owned())
    }

    fn handle(&self) -> HANDLE {
        HANDLE(self.0.as_raw_handle())
    }
}

/// Whether a process can't be opened because there is none of that number.
pub(super) fn is_absent(error: &Error) -> bool {
    error.code() == ERROR_INVALID_PARAMETER.to_hresult()
}

/// In UTF-16 units; paths that are longer are not told.
const PATH_MAX: usize = 1024;

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};

    use super::*;

    #[test]
    fn a_process_is_known_by_its_program_until_it_ends_and_after() {
        let mut child = Command::new("cmd").stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
        let process = Process::open(child.id()).unwrap();
        assert_eq!(process.program().as_deref(), Some("cmd.exe"));
        assert!(!process.has_ended());
        // Its input is closed by that, which ends it.
        child.wait().unwrap();
        assert!(process.has_ended());
    }

    #[test]
    fn a_number_that_is_no_process_is_said_to_be_none() {
        // Numbers of processes are multiples of four.
        let none = Process::open(0x7FFF_FFFD).err().unwrap();
        assert!(is_absent(&none), "{none}");
    }
}
