//! What the server knows, in the terms of [`crate::host`].

use std::ffi::{CStr, CString};

use pulseaudio::protocol::{
    ChannelVolume, ClientInfo, Command, GetSinkInfo, GetSourceInfo, Prop, Props, SampleSpec, ServerInfo,
    SinkInfo, SinkInputInfo, SourceInfo, SourceOutputInfo, Volume,
};

use super::connection::{Connection, Failure};
use crate::format::Format;
use crate::host::{Device, DeviceKind, Direction, Session, SessionId, SessionState};

pub(super) fn devices(connection: &mut Connection) -> Result<Vec<Device>, Failure> {
    let server: ServerInfo = connection.request(&Command::GetServerInfo)?;
    let sources: Vec<SourceInfo> = connection.request(&Command::GetSourceInfoList)?;
    Ok(sources.iter().map(|source| device(source, &server)).collect())
}

fn device(source: &SourceInfo, server: &ServerInfo) -> Device {
    let kind = if source.monitor_of_sink_index.is_some() { DeviceKind::Monitor } else { DeviceKind::Input };
    Device {
        name: text(&source.name),
        description: source.description.as_deref().map(text).unwrap_or_default(),
        kind,
        format: format(&source.sample_spec),
        is_default: server.default_source_name.as_ref() == Some(&source.name),
    }
}

/// Rate and channels, where they can be captured.
pub(super) fn format(spec: &SampleSpec) -> Option<Format> {
    Format::new(spec.sample_rate, spec.channels.into()).ok()
}

pub(super) fn sink_inputs(connection: &mut Connection) -> Result<Vec<SinkInputInfo>, Failure> {
    connection.request(&Command::GetSinkInputInfoList)
}

pub(super) fn sink(connection: &mut Connection, index: u32) -> Result<SinkInfo, Failure> {
    connection.request(&Command::GetSinkInfo(GetSinkInfo { index: Some(index), name: None }))
}

pub(super) fn source(
    connection: &mut Connection,
    index: Option<u32>,
    name: Option<CString>,
) -> Result<SourceInfo, Failure> {
    connection.request(&Command::GetSourceInfo(GetSourceInfo { index, name }))
}

/// All that play, and then all that record.
pub(super) fn sessions(connection: &mut Connection) -> Result<Vec<Session>, Failure> {
    let clients: Vec<ClientInfo> = connection.request(&Command::GetClientInfoList)?;
    let inputs = sink_inputs(connection)?;
    let outputs: Vec<SourceOutputInfo> = connection.request(&Command::GetSourceOutputInfoList)?;
    let playing = inputs.iter().map(|input| playing(input, &clients));
    Ok(playing.chain(outputs.iter().map(|output| recording(output, &clients))).collect())
}

pub(super) fn playing(input: &SinkInputInfo, clients: &[ClientInfo]) -> Session {
    let stream =
        Named { props: &input.props, name: &input.name, client: client(clients, input.client_index) };
    let id = SessionId { direction: Direction::Plays, index: input.index };
    stream.session(id, input.corked, &input.cvolume, input.muted)
}

fn recording(output: &SourceOutputInfo, clients: &[ClientInfo]) -> Session {
    let stream =
        Named { props: &output.props, name: &output.name, client: client(clients, output.client_index) };
    let id = SessionId { direction: Direction::Records, index: output.index };
    stream.session(id, output.corked, &output.cvolume, output.muted)
}

fn client(clients: &[ClientInfo], index: Option<u32>) -> Option<&ClientInfo> {
    index.and_then(|index| clients.iter().find(|client| client.index == index))
}

/// What a stream and its client say of themselves.
struct Named<'a> {
    props: &'a Props,
    name: &'a CStr,
    client: Option<&'a ClientInfo>,
}

impl Named<'_> {
    fn session(&self, id: SessionId, corked: bool, volume: &ChannelVolume, muted: bool) -> Session {
        Session {
            id,
            name: text(self.name),
            application: self
                .property(Prop::ApplicationName)
                .or_else(|| self.client.map(|client| text(&client.name)))
                .unwrap_or_default(),
            process: self.property(Prop::ApplicationProcessId).and_then(|id| id.parse().ok()),
            program: self.property(Prop::ApplicationProcessBinary),
            state: if corked { SessionState::Paused } else { SessionState::Running },
            volume: loudest(volume),
            muted,
        }
    }

    /// Of the stream, or else of its client.
    fn property(&self, prop: Prop) -> Option<String> {
        let of_client = || self.client.and_then(|client| client.props.get(prop));
        let value = self.props.get(prop).or_else(of_client)?;
        Some(text(CStr::from_bytes_until_nul(value).ok()?))
    }
}

/// As mixers show it: that of the loudest channel, where 65,536 is 100%.
fn loudest(volume: &ChannelVolume) -> f32 {
    volume.channels().iter().map(Volume::as_u32).max().unwrap_or(0) as f32 / NORM
}

/// The volume that is so loud, with the balance between the channels kept.
pub(super) fn scaled(volume: &ChannelVolume, to: f32) -> ChannelVolume {
    let before = loudest(volume);
    let mut scaled = ChannelVolume::empty();
    for channel in volume.channels() {
        let share = if before > 0.0 { channel.as_u32() as f32 / NORM / before } else { 1.0 };
        // Casts of floats saturate, and the server has a limit of its own.
        scaled.push(Volume::from_u32_clamped((share * to * NORM).round() as u32));
    }
    scaled
}

/// Names need not be UTF-8.
pub(super) fn text(name: &CStr) -> String {
    name.to_string_lossy().into_owned()
}

/// A name as the protocol has it; up to the first zero byte, of which there is none in a name that a server gave us.
pub(super) fn name(text: &str) -> CString {
    let bytes = text.bytes().take_while(|byte| *byte != 0).collect::<Vec<_>>();
    CString::new(bytes).unwrap_or_default()
}

const NORM: f32 = 65_536.0;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_volume_is_scaled_with_its_balance() {
        let mut volume = ChannelVolume::empty();
        volume.push(Volume::from_u32_clamped(65_536));
        volume.push(Volume::from_u32_clamped(32_768));
        let half = scaled(&volume, 0.5);
        assert_eq!(half.channels().iter().map(Volume::as_u32).collect::<Vec<_>>(), [32_768, 16_384]);
        assert_eq!(loudest(&half), 0.5);
        let from_nothing = scaled(&ChannelVolume::muted(2), 1.0);
        assert_eq!(from_nothing.channels().iter().map(Volume::as_u32).collect::<Vec<_>>(), [65_536; 2]);
    }
}
