//! The multimedia class scheduler, which keeps the thread that captures from waiting behind others.
#![expect(unsafe_code, reason = "two calls of the operating system for which there is no safe wrapper")]

use windows::Win32::Foundation::HANDLE;
use windows::Win32::System::Threading::{AvRevertMmThreadCharacteristics, AvSetMmThreadCharacteristicsW};
use windows::core::w;

/// This thread's membership in the class "Pro Audio". Belongs to the thread, as the handle in it is not [`Send`].
pub(super) struct ProAudio(HANDLE);

impl ProAudio {
    /// `None` where the system refuses; capturing then goes on as it is.
    pub(super) fn join() -> Option<Self> {
        let mut index = 0;
        // SAFETY: the name is a constant that ends with a zero, and the index a local that the call writes.
        unsafe { AvSetMmThreadCharacteristicsW(w!("Pro Audio"), &raw mut index) }.ok().map(Self)
    }
}

impl Drop for ProAudio {
    fn drop(&mut self) {
        // SAFETY: the handle is that of `join`, which nobody else has, and this is the same thread, which `HANDLE` can't leave.
        let _ = unsafe { AvRevertMmThreadCharacteristics(self.0) };
    }
}
