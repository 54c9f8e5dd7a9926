//! Sessions as Windows describes them, by COM objects of our own: neither Wine nor a machine that tests this crate has those of other applications.

use std::cell::Cell;

use windows::Win32::Foundation::{E_NOTIMPL, S_FALSE};
use windows::Win32::Media::Audio::{
    AudioSessionState, AudioSessionStateInactive, IAudioSessionControl, IAudioSessionControl_Impl,
    IAudioSessionControl2_Impl, IAudioSessionEnumerator_Impl, IAudioSessionEvents, ISimpleAudioVolume_Impl,
};
use windows::Win32::System::Com::CoTaskMemAlloc;
use windows::core::{BOOL, GUID, HRESULT, PCWSTR, Ref, implement};

use super::*;

#[implement(IAudioSessionEnumerator)]
struct List(Vec<IAudioSessionControl>);

#[implement(IAudioSessionControl2, ISimpleAudioVolume)]
struct Playing {
    identifier: &'static str,
    process: u32,
    state: AudioSessionState,
    volume: Cell<f32>,
    muted: Cell<bool>,
}

impl Playing {
    fn control(identifier: &'static str, process: u32, state: AudioSessionState) -> IAudioSessionControl {
        let session = Self { identifier, process, state, volume: Cell::new(1.0), muted: Cell::new(false) };
        IAudioSessionControl2::from(session).cast().unwrap()
    }
}

/// A text that the caller has to free.
fn text(text: &str) -> Result<PWSTR> {
    let units: Vec<u16> = text.encode_utf16().chain([0]).collect();
    // SAFETY: the memory is as long as what is copied into it, and used once that is done.
    unsafe {
        let copy = CoTaskMemAlloc(2 * units.len()).cast::<u16>();
        assert!(!copy.is_null());
        copy.copy_from_nonoverlapping(units.as_ptr(), units.len());
        Ok(PWSTR(copy))
    }
}

impl IAudioSessionEnumerator_Impl for List_Impl {
    fn GetCount(&self) -> Result<i32> {
        Ok(self.0.len() as i32)
    }

    fn GetSession(&self, index: i32) -> Result<IAudioSessionControl> {
        Ok(self.0[index as usize].clone())
    }
}

impl IAudioSessionControl_Impl for Playing_Impl {
    fn GetState(&self) -> Result<AudioSessionState> {
        Ok(self.state)
    }

    fn GetDisplayName(&self) -> Result<PWSTR> {
        text("Grüße")
    }

    fn SetDisplayName(&self, _: &PCWSTR, _: *const GUID) -> Result<()> {
        Err(E_NOTIMPL.into())
    }

    fn GetIconPath(&self) -> Result<PWSTR> {
        Err(E_NOTIMPL.into())
    }

    fn SetIconPath(&self, _: &PCWSTR, _: *const GUID) -> Result<()> {
        Err(E_NOTIMPL.into())
    }

    fn GetGroupingParam(&self) -> Result<GUID> {
        Err(E_NOTIMPL.into())
    }

    fn SetGroupingParam(&self, _: *const GUID, _: *const GUID) -> Result<()> {
        Err(E_NOTIMPL.into())
    }

    fn RegisterAudioSessionNotification(&self, _: Ref<IAudioSessionEvents>) -> Result<()> {
        Err(E_NOTIMPL.into())
    }

    fn UnregisterAudioSessionNotification(&self, _: Ref<IAudioSessionEvents>) -> Result<()> {
        Err(E_NOTIMPL.into())
    }
}

impl IAudioSessionControl2_Impl for Playing_Impl {
    fn GetSessionIdentifier(&self) -> Result<PWSTR> {
        Err(E_NOTIMPL.into())
    }

    fn GetSessionInstanceIdentifier(&self) -> Result<PWSTR> {
        text(self.identifier)
    }

    fn GetProcessId(&self) -> Result<u32> {
        Ok(self.process)
    }

    fn IsSystemSoundsSession(&self) -> HRESULT {
        if self.process == 0 { S_OK } else { S_FALSE }
    }

    fn SetDuckingPreference(&self, _: BOOL) -> Result<()> {
        Err(E_NOTIMPL.into())
    }
}

impl ISimpleAudioVolume_Impl for Playing_Impl {
    fn SetMasterVolume(&self, volume: f32, _: *const GUID) -> Result<()> {
        assert!((0.0..=1.0).contains(&volume), "Windows refuses {volume}");
        self.volume.set(volume);
        Ok(())
    }

    fn GetMasterVolume(&self) -> Result<f32> {
        Ok(self.volume.get())
    }

    fn SetMute(&self, mute: BOOL, _: *const GUID) -> Result<()> {
        self.muted.set(mute.as_bool());
        Ok(())
    }

    fn GetMute(&self) -> Result<BOOL> {
        Ok(self.muted.get().into())
    }
}

fn playing() -> IAudioSessionEnumerator {
    let sessions = [
        ("{0.0.0}|player.exe%b1", std::process::id(), AudioSessionStateActive),
        ("{0.0.0}|player.exe%b2", std::process::id(), AudioSessionStateExpired),
        ("{0.0.0}|#%b", 0, AudioSessionStateInactive),
    ];
    List(sessions.map(|(identifier, process, state)| Playing::control(identifier, process, state)).into())
        .into()
}

fn listed(list: &IAudioSessionEnumerator) -> Vec<Controlled> {
    let mut sessions = Vec::new();
    add(list, Direction::Plays, &mut sessions).unwrap();
    sessions
}

#[test]
fn sessions_that_have_not_ended_are_listed_with_what_plays_them() {
    let sessions: Vec<_> = listed(&playing()).iter().map(|session| session.describe().unwrap()).collect();
    let [player, system] = &sessions[..] else { panic!("{sessions:?}") };
    let program = std::env::current_exe().unwrap().file_name().unwrap().to_string_lossy().into_owned();
    assert_eq!(player.process, Some(std::process::id()));
    assert_eq!(player.program.as_ref(), Some(&program));
    assert_eq!(Some(player.application.as_str()), program.strip_suffix(".exe"));
    assert_eq!((player.name.as_str(), player.state), ("Grüße", SessionState::Running));
    assert_eq!((system.application.as_str(), system.process), ("system sounds", None));
    assert_eq!((system.program.as_ref(), system.state), (None, SessionState::Paused));
}

#[test]
fn a_session_has_the_same_number_in_each_list_and_no_other_has_it() {
    let list = playing();
    let ids = || -> Vec<_> { listed(&list).iter().map(Controlled::id).collect() };
    assert_eq!(ids(), ids());
    assert_ne!(ids()[0], ids()[1]);
}

#[test]
fn a_session_is_never_louder_than_windows_allows_and_keeps_its_volume_while_it_is_muted() {
    let sessions = listed(&playing());
    let now = || sessions[0].describe().map(|session| (session.volume, session.muted)).unwrap();
    sessions[0].set_volume(0.25).unwrap();
    sessions[0].set_muted(true).unwrap();
    assert_eq!(now(), (0.25, true));
    sessions[0].set_muted(false).unwrap();
    assert_eq!(now(), (0.25, false));
    sessions[0].set_volume(7.0).unwrap();
    assert_eq!(now(), (1.0, false));
}
