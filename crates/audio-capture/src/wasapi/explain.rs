//! What went wrong, where Windows says it by a number alone, and what to do about it.

use wasapi::WasapiError;
use windows::Win32::Foundation::E_ACCESSDENIED;
use windows::Win32::Media::Audio::{
    AUDCLNT_E_DEVICE_IN_USE, AUDCLNT_E_DEVICE_INVALIDATED, AUDCLNT_E_SERVICE_NOT_RUNNING,
    AUDCLNT_E_UNSUPPORTED_FORMAT, AUDCLNT_E_WRONG_ENDPOINT_TYPE,
};
use windows::core::HRESULT;

/// The error as people read it: errors of WASAPI have no text in Windows.
pub(super) fn explain(error: &WasapiError) -> String {
    let meaning = match error {
        WasapiError::Windows(error) => meaning(error.code()),
        _ => None,
    };
    match meaning {
        Some(meaning) => format!("{meaning} ({error})"),
        None => error.to_string(),
    }
}

fn meaning(code: HRESULT) -> Option<&'static str> {
    Some(match code {
        AUDCLNT_E_DEVICE_IN_USE => {
            "another application has the device for itself alone: end it, or forbid exclusive mode in the device's settings"
        }
        AUDCLNT_E_DEVICE_INVALIDATED => "the device is gone, or its settings were changed",
        AUDCLNT_E_SERVICE_NOT_RUNNING => {
            "the service of Windows for sound does not run: start it (`net start audiosrv`)"
        }
        AUDCLNT_E_UNSUPPORTED_FORMAT => "the device does not deliver this rate or number of channels",
        AUDCLNT_E_WRONG_ENDPOINT_TYPE => {
            "this system does not capture what an output plays, as Wine did not before 9.12"
        }
        E_ACCESSDENIED => {
            "Windows keeps the device from this program: allow it in the settings for privacy, under \"Microphone\""
        }
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_told_with_its_meaning_and_what_to_do() {
        let text = explain(&WasapiError::Windows(AUDCLNT_E_DEVICE_IN_USE.into()));
        assert!(text.contains("another application") && text.contains("0x8889000A"), "{text}");
    }
}
