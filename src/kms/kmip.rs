//! Servers that speak KMIP (OASIS), over mutual TLS.
//!
//! `kmip://HOST:PORT/UID`. The server wraps: its Encrypt and Decrypt operations with AES-GCM and the wrap context as additional data (KMIP 1.4). A server
//! that has no such operations, but gives its key out, is taken at its word: the key is fetched, and wraps here.
//!
//! The wrapped bytes: a byte 1, the nonce (12), the tag (16), the ciphertext, if the server wrapped; a byte 2 and AES-256-GCM's nonce, ciphertext and tag
//! if it was done here.
//!
//! Who we are: a client certificate, `CIPHERFORM_KMIP_CERT` and `CIPHERFORM_KMIP_KEY`; whom we trust: `CIPHERFORM_KMIP_CA`, or what the system trusts.

use std::fmt;
use std::io::{self, Read as _, Write as _};
use std::net::{TcpStream, ToSocketAddrs as _};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

use super::remote::{Failure, Queue, attempt, does_not_unwrap, malformed, no_such_key, tls};
use super::{Settings, seal};
use crate::error::Detail;
use crate::keys::{KmsClient, KmsKeyInfo, KmsKeyRef, KmsKeyState, WrapContext, random};
use crate::{Error, ErrorKind, Result, Secret};

/// What the server wrapped.
const BY_SERVER: u8 = 1;
/// What was wrapped here, under a key that the server gave out.
const BY_US: u8 = 2;
const NONCE: usize = 12;
const TAG: usize = 16;
/// No answer of ours is longer.
const LONGEST_ANSWER: usize = 1 << 20;

/// A server that speaks KMIP.
#[derive(Clone, Debug)]
pub struct KmipKms {
    inner: Arc<Inner>,
    queue: Queue,
}

struct Inner {
    settings: Settings,
    tls: Mutex<Option<Arc<ClientConfig>>>,
}

#[derive(Clone, Debug, Eq, PartialEq)]
struct Place {
    host: String,
    port: u16,
    uid: String,
}

impl KmipKms {
    /// A client with these settings. Nothing is asked yet.
    pub fn new(settings: Settings) -> Self {
        let queue = Queue::new(settings.patience());
        let tls = Mutex::default();
        Self {
            inner: Arc::new(Inner { settings, tls }),
            queue,
        }
    }

    async fn run<T: Send + 'static>(
        &self,
        key: &KmsKeyRef,
        work: impl FnOnce(&Inner, &Place) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let place = Place::parse(key)?;
        let inner = Arc::clone(&self.inner);
        self.queue.run(move || work(&inner, &place)).await
    }
}

#[async_trait]
impl KmsClient for KmipKms {
    async fn describe(&self, key: &KmsKeyRef) -> Result<KmsKeyInfo> {
        self.run(key, Inner::describe).await
    }

    async fn wrap(&self, key: &KmsKeyRef, plaintext: &Secret<Vec<u8>>, context: &WrapContext) -> Result<Vec<u8>> {
        let (plaintext, context) = (plaintext.clone(), context.to_bytes());
        self.run(key, move |inner, place| inner.wrap(place, &plaintext, &context))
            .await
    }

    async fn unwrap(&self, key: &KmsKeyRef, wrapped: &[u8], context: &WrapContext) -> Result<Secret<Vec<u8>>> {
        let (wrapped, context) = (wrapped.to_vec(), context.to_bytes());
        self.run(key, move |inner, place| inner.unwrap(place, &wrapped, &context))
            .await
    }
}

impl Inner {
    fn describe(&self, place: &Place) -> Result<KmsKeyInfo> {
        let wanted = [
            "State",
            "Cryptographic Algorithm",
            "Cryptographic Length",
            "Initial Date",
        ];
        let mut payload = Writer::default();
        payload.text(tag::UNIQUE_IDENTIFIER, &place.uid);
        for name in wanted {
            payload.text(tag::ATTRIBUTE_NAME, name);
        }
        let answer = self.ask(place, operation::GET_ATTRIBUTES, payload)?;
        let mut info = KmsKeyInfo::new("kmip", &place.uid, KmsKeyState::Unavailable).with_rotation("by hand");
        let (mut algorithm, mut bits) = (None, None);
        for attribute in answer.all(tag::ATTRIBUTE) {
            let attribute = Reader(attribute);
            let name = attribute.find(tag::ATTRIBUTE_NAME).unwrap_or_default();
            let value = attribute.find(tag::ATTRIBUTE_VALUE).unwrap_or_default();
            match name {
                b"State" => {
                    info.state = match number(value) {
                        Some(2) => KmsKeyState::Enabled,
                        Some(3) => KmsKeyState::Disabled,
                        _ => KmsKeyState::Unavailable,
                    };
                }
                b"Cryptographic Algorithm" => algorithm = number(value),
                b"Cryptographic Length" => bits = number(value),
                b"Initial Date" => {
                    if let Some(seconds) = value.first_chunk::<8>().map(|bytes| u64::from_be_bytes(*bytes)) {
                        let time = std::time::SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(seconds);
                        info = info.with_created(time.into());
                    }
                }
                _ => {}
            }
        }
        let algorithm = if algorithm == Some(AES) { "AES" } else { "not AES" };
        Ok(info.with_usage(format!("{algorithm} {}", bits.unwrap_or_default())))
    }

    fn wrap(&self, place: &Place, plaintext: &Secret<Vec<u8>>, context: &[u8]) -> Result<Vec<u8>> {
        let nonce: [u8; NONCE] = random::array()?;
        let mut payload = gcm(place);
        payload.bytes(tag::DATA, plaintext.expose());
        payload.bytes(tag::NONCE, &nonce);
        payload.bytes(tag::ADDITIONAL_DATA, context);
        match self.ask(place, operation::ENCRYPT, payload) {
            Ok(answer) => {
                let (sealed, check) = (answer.find(tag::DATA), answer.find(tag::AUTHENTICATION_TAG));
                match (sealed, check) {
                    (Some(sealed), Some(check)) if check.len() == TAG => {
                        Ok([&[BY_SERVER], &nonce[..], check, sealed].concat())
                    }
                    _ => Err(not_kmip("an Encrypt without ciphertext and tag")),
                }
            }
            Err(error) if error.detail() == Some(Detail::UnsupportedOperation) => {
                let key = self.fetch(place)?;
                Ok([&[BY_US], &seal::seal(key.expose(), context, plaintext.expose())?[..]].concat())
            }
            Err(error) => Err(error),
        }
    }

    fn unwrap(&self, place: &Place, wrapped: &[u8], context: &[u8]) -> Result<Secret<Vec<u8>>> {
        let not_ours = || Error::bad_input("the wrapped bytes are not of a KMIP key");
        let sealed = match wrapped.split_first() {
            Some((&BY_US, sealed)) => return seal::open(self.fetch(place)?.expose(), context, sealed),
            Some((&BY_SERVER, sealed)) => sealed,
            _ => return Err(not_ours()),
        };
        let (nonce, sealed) = sealed.split_first_chunk::<NONCE>().ok_or_else(not_ours)?;
        let (check, sealed) = sealed.split_first_chunk::<TAG>().ok_or_else(not_ours)?;
        let mut payload = gcm(place);
        payload.bytes(tag::DATA, sealed);
        payload.bytes(tag::NONCE, nonce);
        payload.bytes(tag::ADDITIONAL_DATA, context);
        payload.bytes(tag::AUTHENTICATION_TAG, check);
        let answer = self.ask(place, operation::DECRYPT, payload)?;
        let plaintext = answer
            .find(tag::DATA)
            .ok_or_else(|| not_kmip("a Decrypt without plaintext"))?;
        Ok(Secret::new(plaintext.to_vec()))
    }

    /// The key itself, of a server that gives it out: 256 bits.
    fn fetch(&self, place: &Place) -> Result<Secret<Vec<u8>>> {
        let mut payload = Writer::default();
        payload.text(tag::UNIQUE_IDENTIFIER, &place.uid);
        let answer = self.ask(place, operation::GET, payload)?;
        let path = [tag::SYMMETRIC_KEY, tag::KEY_BLOCK, tag::KEY_VALUE, tag::KEY_MATERIAL];
        let material = path
            .iter()
            .try_fold(answer.payload(), |structure, tag| Reader(structure).find(*tag));
        match material {
            Some(material) if material.len() == 32 => Ok(Secret::new(material.to_vec())),
            _ => Err(Error::new(
                ErrorKind::KeyNotUsable,
                "the KMIP server's object is no symmetric key of 256 bits",
            )
            .with_hint("make one: AES, length 256, usage encrypt and decrypt")),
        }
    }

    fn ask(&self, place: &Place, operation: u32, payload: Writer) -> Result<Answer> {
        let tls = self.tls()?;
        let request = message(operation, payload);
        let patience = self.settings.patience();
        let host = format!("{}:{}", place.host, place.port);
        let answer = attempt(patience, || {
            let started = std::time::Instant::now();
            let answer = exchange(&tls, place, patience, request.expose());
            tracing::debug!(host, operation, took = ?started.elapsed(), answered = answer.is_ok(), "a KMIP server was asked");
            answer.map_err(|error| failure(error, &host))
        })?;
        Answer::parse(answer, operation)
    }

    fn tls(&self) -> Result<Arc<ClientConfig>> {
        let mut tls = self.tls.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(tls) = &*tls {
            return Ok(Arc::clone(tls));
        }
        let broken =
            |error: rustls::Error| Error::bad_input("the TLS settings for KMIP do not fit together").with_source(error);
        let builder = ClientConfig::builder_with_provider(tls::provider())
            .with_safe_default_protocol_versions()
            .map_err(broken)?;
        let builder = match self.settings.get("CIPHERFORM_KMIP_CA") {
            Some(path) => {
                let mut roots = RootCertStore::empty();
                roots.add_parsable_certificates(certificates(path)?);
                builder.with_root_certificates(roots)
            }
            None => {
                let verifier = rustls_platform_verifier::Verifier::new(tls::provider()).map_err(broken)?;
                builder.dangerous().with_custom_certificate_verifier(Arc::new(verifier))
            }
        };
        let (certificate, key) = (
            self.settings.get("CIPHERFORM_KMIP_CERT"),
            self.settings.get("CIPHERFORM_KMIP_KEY"),
        );
        let (Some(certificate), Some(key)) = (certificate, key) else {
            return Err(
                Error::new(ErrorKind::NotAllowed, "nothing says who we are to the KMIP server").with_hint(
                    "set CIPHERFORM_KMIP_CERT and CIPHERFORM_KMIP_KEY to PEM files of a client certificate and its key",
                ),
            );
        };
        let private = PrivateKeyDer::from_pem_file(key)
            .map_err(|_| Error::bad_input(format!("`{key}` holds no private key in PEM form")))?;
        let config = builder
            .with_client_auth_cert(certificates(certificate)?, private)
            .map_err(broken)?;
        Ok(Arc::clone(tls.insert(Arc::new(config))))
    }
}

impl fmt::Debug for Inner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inner")
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}

impl Place {
    fn parse(key: &KmsKeyRef) -> Result<Self> {
        let form =
            || malformed(key, "it has another form").with_hint("write `kmip://HOST:PORT/UID`; the usual port is 5696");
        let (host, uid) = key
            .rest()
            .strip_prefix("//")
            .and_then(|rest| rest.split_once('/'))
            .ok_or_else(form)?;
        let (host, port) = match host.rsplit_once(':') {
            Some((host, port)) if !host.ends_with(':') => (host, port.parse().map_err(|_| form())?),
            _ => (host, 5696),
        };
        if host.is_empty() || uid.is_empty() {
            return Err(form());
        }
        Ok(Self {
            host: host.trim_matches(['[', ']']).to_owned(),
            port,
            uid: uid.to_owned(),
        })
    }
}

fn certificates(path: &str) -> Result<Vec<CertificateDer<'static>>> {
    let none = || Error::bad_input(format!("`{path}` holds no certificate in PEM form"));
    let read = CertificateDer::pem_file_iter(Path::new(path)).map_err(|error| none().with_source(error))?;
    let certificates: Vec<_> = read
        .collect::<Result<_, _>>()
        .map_err(|error| none().with_source(error))?;
    if certificates.is_empty() {
        Err(none())
    } else {
        Ok(certificates)
    }
}

/// One question and its answer over a connection of their own.
fn exchange(
    tls: &Arc<ClientConfig>,
    place: &Place,
    patience: super::Patience,
    request: &[u8],
) -> io::Result<Secret<Vec<u8>>> {
    let name = ServerName::try_from(place.host.clone()).map_err(io::Error::other)?;
    let mut last = io::Error::other("the name has no address");
    let mut tcp = None;
    for address in (place.host.as_str(), place.port).to_socket_addrs()? {
        match TcpStream::connect_timeout(&address, patience.connect) {
            Ok(stream) => {
                tcp = Some(stream);
                break;
            }
            Err(error) => last = error,
        }
    }
    let tcp = tcp.ok_or(last)?;
    tcp.set_read_timeout(Some(patience.answer))?;
    tcp.set_write_timeout(Some(patience.answer))?;
    let connection = ClientConnection::new(Arc::clone(tls), name).map_err(io::Error::other)?;
    let mut stream = StreamOwned::new(connection, tcp);
    stream.write_all(request)?;
    stream.flush()?;
    let mut head = [0; 8];
    stream.read_exact(&mut head)?;
    let length = u32::from_be_bytes([head[4], head[5], head[6], head[7]]) as usize;
    if head[..4] != [0x42, 0x00, 0x7b, kind::STRUCTURE] || length > LONGEST_ANSWER {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "this is no KMIP response"));
    }
    let mut body = Secret::new(vec![0; length]);
    stream.read_exact(body.expose_mut())?;
    Ok(body)
}

fn failure(error: io::Error, host: &str) -> Failure {
    if let Some(cause) = tls::cause(&error) {
        return Failure::Lasting(tls::refused(cause, host));
    }
    let hint = "check the address, the network, and that this is a KMIP port; the job can be run again";
    let down = Error::new(
        ErrorKind::ProviderDown,
        format!("`{host}` does not answer as a KMIP server"),
    );
    let lasting = error.kind() == io::ErrorKind::InvalidData;
    let error = down.with_source(error).with_hint(hint);
    if lasting {
        Failure::Lasting(error)
    } else {
        Failure::Passing(error)
    }
}

fn not_kmip(what: &str) -> Error {
    Error::new(ErrorKind::ProviderDown, format!("the KMIP server gives {what}"))
}

/// The successful answer to one operation.
struct Answer(Secret<Vec<u8>>);

impl Answer {
    fn parse(message: Secret<Vec<u8>>, operation: u32) -> Result<Self> {
        let item = Reader(message.expose())
            .find(tag::BATCH_ITEM)
            .ok_or_else(|| not_kmip("an answer without content"))?;
        let item = Reader(item);
        if item.find(tag::RESULT_STATUS).and_then(number) == Some(0) {
            let payload = item.find(tag::RESPONSE_PAYLOAD).unwrap_or_default();
            return Ok(Self(Secret::new(payload.to_vec())));
        }
        let reason = item.find(tag::RESULT_REASON).and_then(number).unwrap_or_default();
        let text = String::from_utf8_lossy(item.find(tag::RESULT_MESSAGE).unwrap_or_default());
        let text: String = text.chars().filter(|c| !c.is_control()).take(200).collect();
        let says =
            |kind, hint: &str| Error::new(kind, format!("the KMIP server says: {text}")).with_hint(hint.to_owned());
        Err(match reason {
            0x01 => no_such_key("the KMIP server"),
            0x05 => says(
                ErrorKind::KeyNotUsable,
                "the server has no such operation; a key that it gives out would do",
            )
            .with_detail(Detail::UnsupportedOperation),
            // A cryptographic failure, an invalid field; a general failure is what some servers call a tag that does not fit.
            0x0a | 0x07 | 0x100 if operation == operation::DECRYPT => does_not_unwrap(),
            0x0c if text.contains("ctive") || text.contains("mask") => says(
                ErrorKind::KeyNotUsable,
                "the key must be active, and its usage mask allow encrypt and decrypt",
            ),
            0x03 | 0x0c => says(
                ErrorKind::NotAllowed,
                "the certificate must be of the client that owns the key, or that a policy lets use it",
            ),
            0x0d | 0x16 | 0x17 => says(
                ErrorKind::KeyNotUsable,
                "the key is archived, or may not leave the server",
            ),
            _ => says(ErrorKind::ProviderDown, "the server's log tells more"),
        })
    }

    fn payload(&self) -> &[u8] {
        self.0.expose()
    }

    fn find(&self, tag: u32) -> Option<&[u8]> {
        Reader(self.payload()).find(tag)
    }

    fn all(&self, tag: u32) -> impl Iterator<Item = &[u8]> {
        Reader(self.payload())
            .items()
            .filter_map(move |(found, value)| (found == tag).then_some(value))
    }
}

/// The common part of Encrypt and Decrypt.
fn gcm(place: &Place) -> Writer {
    let mut parameters = Writer::default();
    parameters.enumeration(tag::BLOCK_CIPHER_MODE, GCM);
    parameters.enumeration(tag::CRYPTOGRAPHIC_ALGORITHM, AES);
    parameters.integer(tag::TAG_LENGTH, TAG as u32);
    let mut payload = Writer::default();
    payload.text(tag::UNIQUE_IDENTIFIER, &place.uid);
    payload.structure(tag::CRYPTOGRAPHIC_PARAMETERS, &parameters);
    payload
}

/// A request with one operation, in KMIP 1.4.
fn message(operation: u32, payload: Writer) -> Secret<Vec<u8>> {
    let mut version = Writer::default();
    version.integer(tag::PROTOCOL_VERSION_MAJOR, 1);
    version.integer(tag::PROTOCOL_VERSION_MINOR, 4);
    let mut header = Writer::default();
    header.structure(tag::PROTOCOL_VERSION, &version);
    header.integer(tag::BATCH_COUNT, 1);
    let mut item = Writer::default();
    item.enumeration(tag::OPERATION, operation);
    item.structure(tag::REQUEST_PAYLOAD, &payload);
    let mut content = Writer::default();
    content.structure(tag::REQUEST_HEADER, &header);
    content.structure(tag::BATCH_ITEM, &item);
    let mut whole = Writer::default();
    whole.structure(tag::REQUEST_MESSAGE, &content);
    whole.0
}

/// TTLV, the encoding of KMIP: tag (3 bytes), type, length (4 bytes), value, and zeros up to a multiple of eight.
struct Writer(Secret<Vec<u8>>);

impl Default for Writer {
    fn default() -> Self {
        // Room enough that what is written does not move, and leave copies behind.
        Self(Secret::new(Vec::with_capacity(1024)))
    }
}

impl Writer {
    fn item(&mut self, tag: u32, kind: u8, value: &[u8]) {
        let bytes = self.0.expose_mut();
        bytes.extend_from_slice(&tag.to_be_bytes()[1..]);
        bytes.push(kind);
        bytes.extend_from_slice(&(value.len() as u32).to_be_bytes());
        bytes.extend_from_slice(value);
        bytes.resize(bytes.len().next_multiple_of(8), 0);
    }

    fn structure(&mut self, tag: u32, content: &Self) {
        self.item(tag, kind::STRUCTURE, content.0.expose());
    }

    fn integer(&mut self, tag: u32, value: u32) {
        self.item(tag, kind::INTEGER, &value.to_be_bytes());
    }

    fn enumeration(&mut self, tag: u32, value: u32) {
        self.item(tag, kind::ENUMERATION, &value.to_be_bytes());
    }

    fn text(&mut self, tag: u32, value: &str) {
        self.item(tag, kind::TEXT, value.as_bytes());
    }

    fn bytes(&mut self, tag: u32, value: &[u8]) {
        self.item(tag, kind::BYTES, value);
    }
}

/// The items of a structure. What is cut short ends it.
#[derive(Clone, Copy)]
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn items(self) -> impl Iterator<Item = (u32, &'a [u8])> {
        let mut rest = self.0;
        std::iter::from_fn(move || {
            let (head, after) = rest.split_first_chunk::<8>()?;
            let tag = u32::from_be_bytes([0, head[0], head[1], head[2]]);
            let length = u32::from_be_bytes([head[4], head[5], head[6], head[7]]) as usize;
            let value = after.get(..length)?;
            rest = after.get(length.next_multiple_of(8)..).unwrap_or_default();
            Some((tag, value))
        })
    }

    fn find(self, tag: u32) -> Option<&'a [u8]> {
        self.items().find(|(found, _)| *found == tag).map(|(_, value)| value)
    }
}

fn number(value: &[u8]) -> Option<u32> {
    value.first_chunk::<4>().map(|bytes| u32::from_be_bytes(*bytes))
}

const AES: u32 = 3;
const GCM: u32 = 9;

/// KMIP 1.4, section 9.1.1.2.
mod kind {
    pub(super) const STRUCTURE: u8 = 1;
    pub(super) const INTEGER: u8 = 2;
    pub(super) const ENUMERATION: u8 = 5;
    pub(super) const TEXT: u8 = 7;
    pub(super) const BYTES: u8 = 8;
}

/// KMIP 1.4, section 9.1.3.2.27.
mod operation {
    pub(super) const GET: u32 = 0x0a;
    pub(super) const GET_ATTRIBUTES: u32 = 0x0b;
    pub(super) const ENCRYPT: u32 = 0x1f;
    pub(super) const DECRYPT: u32 = 0x20;
}

/// KMIP 1.4, section 9.1.3.1.
mod tag {
    pub(super) const ATTRIBUTE: u32 = 0x42_0008;
    pub(super) const ATTRIBUTE_NAME: u32 = 0x42_000a;
    pub(super) const ATTRIBUTE_VALUE: u32 = 0x42_000b;
    pub(super) const BATCH_COUNT: u32 = 0x42_000d;
    pub(super) const BATCH_ITEM: u32 = 0x42_000f;
    pub(super) const BLOCK_CIPHER_MODE: u32 = 0x42_0011;
    pub(super) const CRYPTOGRAPHIC_ALGORITHM: u32 = 0x42_0028;
    pub(super) const CRYPTOGRAPHIC_PARAMETERS: u32 = 0x42_002b;
    pub(super) const NONCE: u32 = 0x42_003d;
    pub(super) const KEY_BLOCK: u32 = 0x42_0040;
    pub(super) const KEY_MATERIAL: u32 = 0x42_0043;
    pub(super) const KEY_VALUE: u32 = 0x42_0045;
    pub(super) const OPERATION: u32 = 0x42_005c;
    pub(super) const PROTOCOL_VERSION: u32 = 0x42_0069;
    pub(super) const PROTOCOL_VERSION_MAJOR: u32 = 0x42_006a;
    pub(super) const PROTOCOL_VERSION_MINOR: u32 = 0x42_006b;
    pub(super) const REQUEST_HEADER: u32 = 0x42_0077;
    pub(super) const REQUEST_MESSAGE: u32 = 0x42_0078;
    pub(super) const REQUEST_PAYLOAD: u32 = 0x42_0079;
    pub(super) const RESPONSE_PAYLOAD: u32 = 0x42_007c;
    pub(super) const RESULT_MESSAGE: u32 = 0x42_007d;
    pub(super) const RESULT_REASON: u32 = 0x42_007e;
    pub(super) const RESULT_STATUS: u32 = 0x42_007f;
    pub(super) const SYMMETRIC_KEY: u32 = 0x42_008f;
    pub(super) const UNIQUE_IDENTIFIER: u32 = 0x42_0094;
    pub(super) const DATA: u32 = 0x42_00c2;
    pub(super) const TAG_LENGTH: u32 = 0x42_00ce;
    pub(super) const ADDITIONAL_DATA: u32 = 0x42_00fe;
    pub(super) const AUTHENTICATION_TAG: u32 = 0x42_00ff;
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The examples of KMIP 1.4, section 9.1.2.
    #[test]
    fn ttlv() {
        let mut writer = Writer::default();
        writer.integer(0x42_0020, 8);
        writer.enumeration(0x42_0020, 255);
        writer.text(0x42_0020, "Hello World");
        writer.bytes(0x42_0020, &[1, 2, 3]);
        let expected = concat!(
            "42002002000000040000000800000000",
            "4200200500000004000000FF00000000",
            "420020070000000B48656C6C6F20576F726C640000000000",
            "42002008000000030102030000000000",
        );
        assert_eq!(hex::encode_upper(writer.0.expose()), expected);
        let items: Vec<_> = Reader(writer.0.expose()).items().collect();
        assert_eq!(items.len(), 4);
        assert_eq!(items[2], (0x42_0020, &b"Hello World"[..]));
        assert_eq!(Reader(&writer.0.expose()[..11]).items().count(), 0, "cut short");
    }

    #[test]
    fn references() {
        let place = |text: &str| Place::parse(&text.parse().unwrap());
        let parsed = place("kmip://kms.example:15696/12").unwrap();
        assert_eq!(
            (parsed.host.as_str(), parsed.port, parsed.uid.as_str()),
            ("kms.example", 15_696, "12")
        );
        assert_eq!(place("kmip://kms.example/12").unwrap().port, 5_696);
        assert_eq!(place("kmip://[::1]:5696/12").unwrap().host, "::1");
        for bad in [
            "kmip:12",
            "kmip://kms.example",
            "kmip:///12",
            "kmip://kms.example/",
            "kmip://kms.example:x/1",
        ] {
            assert!(place(bad).is_err(), "{bad}");
        }
    }
}
