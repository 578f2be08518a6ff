//! The frames on the two pipes: type byte, payload length (u32 little endian), payload.

use std::io::{self, Read};

/// Bytes before a payload.
pub(super) const HEADER: usize = 5;
/// Bytes before an output frame's own bytes: header, run id, stream.
pub(super) const OUT_HEADER: usize = HEADER + 5;
/// No payload is larger.
pub(super) const MAX_PAYLOAD: usize = 1 << 20;
/// What one read of a pipe takes at most.
pub(super) const CHUNK: usize = 256 << 10;

/// What a frame is; the first six go to the far side, the rest come from it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Kind {
    Start = 1,
    Stdin = 2,
    StdinEnd = 3,
    Cancel = 4,
    Sweep = 5,
    Hello = 16,
    Out = 17,
    Done = 18,
    Killed = 19,
}

impl Kind {
    fn of(byte: u8) -> Option<Self> {
        [
            Self::Start,
            Self::Stdin,
            Self::StdinEnd,
            Self::Cancel,
            Self::Sweep,
            Self::Hello,
            Self::Out,
            Self::Done,
            Self::Killed,
        ]
        .into_iter()
        .find(|kind| *kind as u8 == byte)
    }
}

/// Fills in the header of a frame whose payload lies behind it.
pub(super) fn put_header(frame: &mut [u8], kind: Kind, payload: usize) {
    frame[0] = kind as u8;
    frame[1..HEADER].copy_from_slice(&(payload as u32).to_le_bytes());
}

/// Appends a whole frame that starts with a run's id.
pub(super) fn push(to: &mut Vec<u8>, kind: Kind, id: u32, rest: &[u8]) {
    let start = to.len();
    to.resize(start + HEADER, 0);
    put_header(&mut to[start..], kind, 4 + rest.len());
    to.extend_from_slice(&id.to_le_bytes());
    to.extend_from_slice(rest);
}

/// The run id a payload starts with, and the rest.
pub(super) fn split_id(payload: &[u8]) -> io::Result<(u32, &[u8])> {
    match payload.split_first_chunk::<4>() {
        Some((id, rest)) => Ok((u32::from_le_bytes(*id), rest)),
        None => Err(invalid("a frame without a run id")),
    }
}

/// Reads one frame into `buffer`, growing it when needed; `None` at the end of the stream.
pub(super) fn read(from: &mut impl Read, buffer: &mut Vec<u8>) -> io::Result<Option<(Kind, usize)>> {
    let mut header = [0; HEADER];
    if let Err(error) = from.read_exact(&mut header) {
        return match error.kind() {
            io::ErrorKind::UnexpectedEof => Ok(None),
            _ => Err(error),
        };
    }
    let kind = Kind::of(header[0]).ok_or_else(|| invalid("an unknown frame"))?;
    let [_, length @ ..] = header;
    let length = u32::from_le_bytes(length) as usize;
    if length > MAX_PAYLOAD {
        return Err(invalid("a frame that is too long"));
    }
    if buffer.len() < length {
        buffer.resize(length, 0);
    }
    from.read_exact(&mut buffer[..length])?;
    Ok(Some((kind, length)))
}

fn invalid(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_pushed_is_read() {
        let mut bytes = Vec::new();
        push(&mut bytes, Kind::Stdin, 7, b"hello");
        push(&mut bytes, Kind::Cancel, 8, b"");
        let (mut from, mut buffer) = (bytes.as_slice(), Vec::new());
        let (kind, length) = read(&mut from, &mut buffer).unwrap().unwrap();
        assert_eq!(kind, Kind::Stdin);
        assert_eq!(split_id(&buffer[..length]).unwrap(), (7, b"hello".as_slice()));
        let (kind, length) = read(&mut from, &mut buffer).unwrap().unwrap();
        assert_eq!(kind, Kind::Cancel);
        assert_eq!(split_id(&buffer[..length]).unwrap(), (8, b"".as_slice()));
        assert!(read(&mut from, &mut buffer).unwrap().is_none());
    }

    #[test]
    fn nonsense_is_refused() {
        let mut buffer = Vec::new();
        assert!(read(&mut [99u8, 0, 0, 0, 0].as_slice(), &mut buffer).is_err());
        assert!(read(&mut [1u8, 255, 255, 255, 255].as_slice(), &mut buffer).is_err());
        assert!(buffer.is_empty());
        assert!(split_id(b"abc").is_err());
    }
}
