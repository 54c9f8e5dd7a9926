//! Sessions of other applications, and their volumes: `IAudioSessionManager2` and `ISimpleAudioVolume`.
#![expect(unsafe_code, reason = "calls of COM interfaces for which there is no safe wrapper")]

use std::path::Path;

use windows::Win32::Foundation::{ERROR_NOT_FOUND, S_OK};
use windows::Win32::Media::Audio::{
    AUDCLNT_E_DEVICE_INVALIDATED, AudioSessionStateActive, AudioSessionStateExpired, DEVICE_STATE_ACTIVE,
    IAudioSessionControl2, IAudioSessionEnumerator, IAudioSessionManager2, IMMDevice, IMMDeviceEnumerator,
    ISimpleAudioVolume, MMDeviceEnumerator, eCapture, eRender,
};
use windows::Win32::System::Com::{CLSCTX_ALL, CoCreateInstance, CoTaskMemFree};
use windows::core::{Error, Interface as _, PWSTR, Result};

use super::process::Process;
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
            match unsafe { devices.Item(index) }.and_then(|device| list(&device)) {
                Ok(list) => add(&list, direction, &mut sessions)?,
                // It was unplugged meanwhile, and its sessions with it.
                Err(error) if is_gone(&error) => {}
                Err(error) => return Err(error),
            }
        }
    }
    Ok(sessions)
}

fn list(device: &IMMDevice) -> Result<IAudioSessionEnumerator> {
    // SAFETY: a device can be activated as this interface without parameters.
    let manager: IAudioSessionManager2 = unsafe { device.Activate(CLSCTX_ALL, None)? };
    // SAFETY: a call of an interface that is held, with no pointers.
    unsafe { manager.GetSessionEnumerator() }
}

fn add(list: &IAudioSessionEnumerator, direction: Direction, sessions: &mut Vec<Controlled>) -> Result<()> {
    // SAFETY: a call of an interface that is held, with no pointers.
    for index in 0..unsafe { list.GetCount()? } {
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
        let program = process.and_then(|id| Process::open(id).ok()?.program());
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

/// Whether this is said of a device that is no more.
fn is_gone(error: &Error) -> bool {
    [AUDCLNT_E_DEVICE_INVALIDATED, ERROR_NOT_FOUND.to_hresult()].contains(&error.code())
}

/// What went wrong with a session.
pub(super) fn failed(error: &Error) -> ControlError {
    ControlError::Failed { reason: error.to_string() }
}

/// Windows names sessions by text. A number made of it is the same each time that they are listed.
fn number(identifier: &str) -> u32 {
    // FNV-1a.
    identifier.bytes().fold(0x811C_9DC5, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193))
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

#[cfg(test)]
mod tests;
