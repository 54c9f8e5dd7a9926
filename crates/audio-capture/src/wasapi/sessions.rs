//! Sessions of other applications, and their volumes: `IAudioSessionManager2` and `ISimpleAudioVolume`.
#![expect(unsafe_code, reason = "calls of COM interfaces for which there is no safe wrapper")]

use std::path::Path;

use windows::Win32::Foundation::{CloseHandle, S_OK};
use windows::Win32::Media::Audio::{
    AudioSessionStateActive, AudioSessionStateExpired, DEVICE_STATE_ACTIVE, IAudioSessionControl2,
    IAudioSessionManager2, IMMDevice, IMMDeviceEnumerator, ISimpleAudioVolume, MMDeviceEnumerator, eCapture,
    eRender,
};
use windows::Win32::System::Com::{CLSCTX_ALL, CoCreateInstance, CoTaskMemFree};
use windows::Win32::System::Threading::{
    OpenProcess, PROCESS_NAME_WIN32, PROCESS_QUERY_LIMITED_INFORMATION, QueryFullProcessImageNameW,
};
use windows::core::{Interface as _, PWSTR, Result};

use crate::host::{ControlError, Direction, Session, SessionId, SessionState};

/// One session, and what it is controlled by.
pub(super) struct Controlled {
    control: IAudioSessionControl2,
    volume: ISimpleAudioVolume,
    id: SessionId,
}

/// All sessions that have not ended, of all outputs and inputs.
pub(super) fn all() -> Result<Vec<Controlled>> {
    // SAFETY: the class and the interface are those that the system documents for each other; COM was initialised on this thread.
    let enumerator: IMMDeviceEnumerator = unsafe { CoCreateInstance(&MMDeviceEnumerator, None, CLSCTX_ALL)? };
    let mut sessions = Vec::new();
    for (flow, direction) in [(eRender, Direction::Plays), (eCapture, Direction::Records)] {
        // SAFETY: a call of an interface that is held, with no pointers.
        let devices = unsafe { enumerator.EnumAudioEndpoints(flow, DEVICE_STATE_ACTIVE)? };
        // SAFETY: likewise.
        for index in 0..unsafe { devices.GetCount()? } {
            // SAFETY: likewise; an index that is out of range by now is an error.
            let device = unsafe { devices.Item(index)? };
            add(&device, direction, &mut sessions)?;
        }
    }
    Ok(sessions)
}

fn add(device: &IMMDevice, direction: Direction, sessions: &mut Vec<Controlled>) -> Result<()> {
    // SAFETY: a device can be activated as this interface without parameters.
    let manager: IAudioSessionManager2 = unsafe { device.Activate(CLSCTX_ALL, None)? };
    // SAFETY: calls of interfaces that are held, with no pointers.
    let (list, count) = unsafe {
        let list = manager.GetSessionEnumerator()?;
        let count = list.GetCount()?;
        (list, count)
    };
    for index in 0..count {
        // SAFETY: likewise.
        let control: IAudioSessionControl2 = unsafe { list.GetSession(index)? }.cast()?;
        // SAFETY: likewise.
        if unsafe { control.GetState()? } == AudioSessionStateExpired {
            continue;
        }
        let volume = control.cast()?;
        // SAFETY: likewise; the text that is returned is ours.
        let identifier = unsafe { take_text(control.GetSessionInstanceIdentifier()?) };
        let id = SessionId { direction, index: number(&identifier) };
        sessions.push(Controlled { control, volume, id });
    }
    Ok(())
}

impl Controlled {
    pub(super) const fn id(&self) -> SessionId {
        self.id
    }

    pub(super) fn describe(&self) -> Result<Session> {
        // SAFETY: calls of interfaces that are held, without pointers; the text that is returned is ours.
        let (state, name, process, is_system, volume, muted) = unsafe {
            (
                self.control.GetState()?,
                take_text(self.control.GetDisplayName()?),
                self.control.GetProcessId().ok().filter(|process| *process != 0),
                self.control.IsSystemSoundsSession() == S_OK,
                self.volume.GetMasterVolume()?,
                self.volume.GetMute()?.as_bool(),
            )
        };
        let program = process.and_then(program);
        let application = match &program {
            _ if is_system => "system sounds".to_owned(),
            Some(program) => Path::new(program)
                .file_stem()
                .map_or_else(String::new, |stem| stem.to_string_lossy().into_owned()),
            None => String::new(),
        };
        let state =
            if state == AudioSessionStateActive { SessionState::Running } else { SessionState::Paused };
        Ok(Session { id: self.id, name, application, process, program, state, volume, muted })
    }

    /// Sets how loud it is, 1.0 at most.
    pub(super) fn set_volume(&self, volume: f32) -> Result<()> {
        // SAFETY: a call of an interface that is held; that there is no context is allowed.
        unsafe { self.volume.SetMasterVolume(volume.clamp(0.0, 1.0), std::ptr::null()) }
    }

    pub(super) fn set_muted(&self, muted: bool) -> Result<()> {
        // SAFETY: likewise.
        unsafe { self.volume.SetMute(muted, std::ptr::null()) }
    }
}

/// What went wrong with session `id`.
pub(super) fn failed(error: &windows::core::Error) -> ControlError {
    ControlError::Failed { reason: error.to_string() }
}

/// Windows names sessions by text. A number made of it is the same each time that they are listed.
fn number(identifier: &str) -> u32 {
    // FNV-1a.
    identifier.bytes().fold(0x811C_9DC5, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193))
}

/// The file name of a process's program, where we may know it.
fn program(process: u32) -> Option<String> {
    let mut path = [0_u16; PATH_MAX];
    let mut len = PATH_MAX as u32;
    // SAFETY: no pointers; the handle that is returned is ours.
    let handle = unsafe { OpenProcess(PROCESS_QUERY_LIMITED_INFORMATION, false, process) }.ok()?;
    // SAFETY: the handle is open, and the buffer as long as `len` says, which the call sets to what it wrote.
    let asked = unsafe {
        QueryFullProcessImageNameW(handle, PROCESS_NAME_WIN32, PWSTR(path.as_mut_ptr()), &raw mut len)
    };
    // SAFETY: the handle is ours, and used no more.
    let _ = unsafe { CloseHandle(handle) };
    asked.ok()?;
    let path = String::from_utf16_lossy(path.get(..len as usize)?);
    Some(Path::new(&path).file_name()?.to_string_lossy().into_owned())
}

/// Copies a text, and frees it.
///
/// # Safety
///
/// It is null, or ends with a zero and was allocated by COM for us.
unsafe fn take_text(text: PWSTR) -> String {
    if text.is_null() {
        return String::new();
    }
    // SAFETY: it ends with a zero, as the caller promises.
    let copy = String::from_utf16_lossy(unsafe { text.as_wide() });
    // SAFETY: COM allocated it, and nobody has it any more.
    unsafe { CoTaskMemFree(Some(text.0.cast_const().cast())) };
    copy
}

/// In UTF-16 units; paths that are longer are not told.
const PATH_MAX: usize = 1024;
