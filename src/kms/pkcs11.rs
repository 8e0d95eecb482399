//! Hardware security modules, by PKCS#11: the KMS key is an AES-256 key that the module never gives out.
//!
//! `pkcs11:token=LABEL;object=LABEL?module-path=/usr/lib/….so&pin-source=/run/secrets/pin` (RFC 7512).
//!
//! Wrapped bytes: a byte 1, the nonce (12 bytes), then `CKM_AES_GCM` with the wrap context as associated data.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use cryptoki::context::{CInitializeArgs, CInitializeFlags, Pkcs11};
use cryptoki::error::{Error as Cryptoki, RvError};
use cryptoki::mechanism::Mechanism;
use cryptoki::mechanism::aead::GcmParams;
use cryptoki::object::{Attribute, AttributeType, KeyType, ObjectClass, ObjectHandle};
use cryptoki::session::{Session, UserType};
use cryptoki::slot::{Slot, TokenInfo};
use cryptoki::types::AuthPin;

use super::remote::{
    Failure, Provider, decode, decode_bytes, does_not_unwrap, malformed, no_such_key, parameters, remote_client,
};
use super::settings::{Settings, read_secret};
use crate::keys::{DataKey, KmsKeyInfo, KmsKeyRef, KmsKeyState, WrapContext};
use crate::{Error, ErrorKind, Result, Secret};

/// The layout of wrapped bytes.
const WRAPPED: u8 = 1;

const NONCE: usize = 12;

remote_client! {
    /// Hardware security modules: each reference names its module and token.
    pub struct Pkcs11Kms(Pkcs11Provider);
}

struct Pkcs11Provider {
    settings: Settings,
    /// Modules by path: each is initialised once in a process.
    modules: Mutex<HashMap<PathBuf, Pkcs11>>,
    /// One session for each token, in which the module does one thing at a time.
    sessions: Mutex<HashMap<(PathBuf, TokenAttributes), Session>>,
}

/// The attributes that a reference names a token by.
#[derive(Clone, Debug, Default, Eq, Hash, PartialEq)]
struct TokenAttributes {
    label: Option<String>,
    serial: Option<String>,
    manufacturer: Option<String>,
    model: Option<String>,
}

/// The location of a key.
#[derive(Clone, Debug, Eq, PartialEq)]
struct Pkcs11KeyLocation {
    /// The reference without scheme and parameters.
    path: String,
    token: TokenAttributes,
    object: Option<String>,
    id: Option<Vec<u8>>,
    module: Option<PathBuf>,
    pin_source: Option<PathBuf>,
}

fn encrypt(session: &Session, key: ObjectHandle, plaintext: &[u8], context: &[u8]) -> Result<Vec<u8>, Cryptoki> {
    let mut nonce = [0; NONCE];
    // The HSM's random numbers, as for the key itself.
    session.generate_random_slice(&mut nonce)?;
    let sealed = {
        // A tag of 128 bits, the longest: a shorter one makes forgery likelier (SP 800-38D, appendix C).
        let mechanism = Mechanism::AesGcm(GcmParams::new(&mut nonce, context, 128.into())?);
        session.encrypt(&mechanism, key, plaintext)?
    };
    // Read the nonce afterwards: the module may have replaced it by one of its own.
    Ok([&[WRAPPED], &nonce[..], &sealed].concat())
}

impl Pkcs11Provider {
    fn new(settings: Settings) -> Self {
        Self {
            settings,
            modules: Mutex::default(),
            sessions: Mutex::default(),
        }
    }
}

impl Provider for Pkcs11Provider {
    type Location = Pkcs11KeyLocation;

    // A call into a module is a call of a C library: it has no time-out, and no thread can be stopped
    // from outside.
    const UNINTERRUPTIBLE: Option<&'static str> = Some("the HSM");

    fn settings(&self) -> &Settings {
        &self.settings
    }

    fn locate(key: &KmsKeyRef) -> Result<Pkcs11KeyLocation> {
        Pkcs11KeyLocation::parse(key)
    }

    fn describe(&self, location: &Pkcs11KeyLocation) -> Result<KmsKeyInfo> {
        let generated_here = self.with_key(location, |session, handle| {
            // CKA_LOCAL is set by the token, not by whoever creates an object.
            let local = session.get_attributes(handle, &[AttributeType::Local])?;
            Ok(local.contains(&Attribute::Local(true)))
        })?;
        let origin = if generated_here {
            "made in the HSM"
        } else {
            "imported into the HSM"
        };
        Ok(KmsKeyInfo::new("pkcs11", location.path.clone(), KmsKeyState::Enabled)
            .with_usage("AES-256, encrypt and decrypt, not extractable")
            .with_origin(origin)
            .with_rotation("by hand"))
    }

    fn generate(&self, location: &Pkcs11KeyLocation, length: usize, context: &WrapContext) -> Result<DataKey> {
        let context = context.to_bytes();
        self.with_key(location, |session, handle| {
            // `C_GenerateKey` would make an object in the token; random bytes leave nothing there.
            let mut plaintext = Secret::new(vec![0; length]);
            session.generate_random_slice(plaintext.expose_mut())?;
            let wrapped = encrypt(session, handle, plaintext.expose(), &context)?;
            Ok(DataKey { plaintext, wrapped })
        })
    }

    fn wrap(
        &self,
        location: &Pkcs11KeyLocation,
        plaintext: &Secret<Vec<u8>>,
        context: &WrapContext,
    ) -> Result<Vec<u8>> {
        let context = context.to_bytes();
        self.with_key(location, |session, handle| {
            encrypt(session, handle, plaintext.expose(), &context)
        })
    }

    fn unwrap(&self, location: &Pkcs11KeyLocation, wrapped: &[u8], context: &WrapContext) -> Result<Secret<Vec<u8>>> {
        let Some((nonce, sealed)) = wrapped
            .strip_prefix(&[WRAPPED])
            .and_then(|rest| rest.split_first_chunk::<NONCE>())
        else {
            return Err(Error::bad_input("the wrapped bytes are not from a PKCS#11 module"));
        };
        let context = context.to_bytes();
        let opened = self.with_key(location, |session, handle| {
            let mut nonce = *nonce;
            let mechanism = Mechanism::AesGcm(GcmParams::new(&mut nonce, &context, 128.into())?);
            match session.decrypt(&mechanism, handle, sealed) {
                Ok(plaintext) => Ok(Some(Secret::new(plaintext))),
                // Modules differ in the code for a wrong tag; SoftHSM has one code for everything.
                // So a defect of the module may look like a wrong key here. The other way round, a forged
                // keyring would look like an outage.
                Err(Cryptoki::Pkcs11(
                    RvError::GeneralError
                    | RvError::EncryptedDataInvalid
                    | RvError::EncryptedDataLenRange
                    | RvError::DataInvalid
                    | RvError::FunctionFailed
                    | RvError::ArgumentsBad,
                    _,
                )) => Ok(None),
                Err(error) => Err(error),
            }
        });
        opened?.ok_or_else(does_not_unwrap)
    }
}

impl Pkcs11Provider {
    /// Runs `work` with the key; once more in a new session if the old one has ended.
    fn with_key<T>(
        &self,
        location: &Pkcs11KeyLocation,
        work: impl Fn(&Session, ObjectHandle) -> Result<T, Cryptoki>,
    ) -> Result<T> {
        let module = self.module_path(location)?;
        let address = (module.clone(), location.token.clone());
        // The key is looked up each time: a handle is good for one session, and a key may have been
        // deleted.
        let attempt = |session: &Session| work(session, find(session, location)?).map_err(failed);
        // Held during the work: a PKCS#11 session runs one operation at a time.
        let mut sessions = self.sessions.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(session) = sessions.get(&address) {
            match attempt(session) {
                Ok(done) => return Ok(done),
                Err(Failure::Lasting(error)) => return Err(error),
                // The token was taken out, or the connection to the HSM was lost. A new session with a
                // new login is the only remedy.
                Err(Failure::Passing(_)) => drop(sessions.remove(&address)),
            }
        }
        let session = self.log_in(&module, location)?;
        let done = attempt(&session).map_err(Failure::into_error)?;
        // Kept only after it has worked.
        sessions.insert(address, session);
        Ok(done)
    }

    fn module_path(&self, location: &Pkcs11KeyLocation) -> Result<PathBuf> {
        let path = location.module.clone();
        path.or_else(|| self.settings.get("CIPHERFORM_PKCS11_MODULE").map(PathBuf::from))
            .ok_or_else(|| {
                Error::bad_input("no PKCS#11 module is named").with_hint(
                    "write `?module-path=/usr/lib/….so` behind the reference, or set CIPHERFORM_PKCS11_MODULE",
                )
            })
    }

    fn module(&self, path: &Path) -> Result<Pkcs11> {
        // Held while the module is loaded: `C_Initialize` may be called once in a process.
        let mut modules = self.modules.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(module) = modules.get(path) {
            return Ok(module.clone());
        }
        let away = |error| {
            let message = format!("the PKCS#11 module `{}` cannot be loaded", path.display());
            Error::new(ErrorKind::ProviderDown, message)
                .with_source(error)
                .with_hint("install the HSM's client library, or correct the path; then run this again")
        };
        let module = Pkcs11::new(path).map_err(away)?;
        // Threads of several references may call the module at the same time, so it must lock for itself.
        match module.initialize(CInitializeArgs::new(CInitializeFlags::OS_LOCKING_OK)) {
            // Other code in this process uses it, too.
            Ok(()) | Err(Cryptoki::Pkcs11(RvError::CryptokiAlreadyInitialized, _)) => {}
            Err(error) => return Err(away(error)),
        }
        Ok(modules.entry(path.to_path_buf()).or_insert(module).clone())
    }

    fn log_in(&self, path: &Path, location: &Pkcs11KeyLocation) -> Result<Session> {
        let module = self.module(path)?;
        let slot = slot(&module, &location.token)?;
        let session = module
            // Read-write where that is possible; a token that is write-protected has read-only sessions
            // alone.
            .open_rw_session(slot)
            .or_else(|_| module.open_ro_session(slot))
            .map_err(|error| failed(error).into_error())?;
        let pin = match &location.pin_source {
            // Read at each login: a PIN that was changed is found, and is not kept in memory between.
            Some(path) => read_secret(path)?,
            None => self.settings.secret("CIPHERFORM_PKCS11_PIN")?.ok_or_else(|| {
                Error::new(ErrorKind::NotAllowed, "the HSM's token needs a PIN, and none was found").with_hint(
                    "set CIPHERFORM_PKCS11_PIN or CIPHERFORM_PKCS11_PIN_FILE, or write \
                     `pin-source=/path` into the reference",
                )
            })?,
        };
        let pin = AuthPin::new(pin.expose().as_str().into());
        match session.login(UserType::User, Some(&pin)) {
            // A login holds for all sessions of a process with a token, so another reference may have
            // made it.
            Ok(()) | Err(Cryptoki::Pkcs11(RvError::UserAlreadyLoggedIn, _)) => Ok(session),
            Err(error) => Err(failed(error).into_error()),
        }
    }
}

impl Pkcs11KeyLocation {
    fn parse(key: &KmsKeyRef) -> Result<Self> {
        let (path, mut parameters) = parameters(key)?;
        let mut location = Self {
            path: path.to_owned(),
            token: TokenAttributes::default(),
            object: None,
            id: None,
            module: parameters.remove("module-path").map(PathBuf::from),
            pin_source: None,
        };
        if let Some(source) = parameters.remove("pin-source") {
            let path = source
                // RFC 7512 has a URI here or a path; both are in use.
                .strip_prefix("file://")
                .or(source.strip_prefix("file:"))
                .unwrap_or(&source);
            location.pin_source = Some(path.into());
        }
        if let Some(name) = parameters.keys().next() {
            return Err(malformed(key, &format!("unknown parameter `{name}`"))
                .with_hint("the parameters are `module-path` and `pin-source`"));
        }
        for part in path.split(';') {
            let (name, value) = part
                .split_once('=')
                .ok_or_else(|| malformed(key, "a part before `?` is not NAME=VALUE"))?;
            let text = || {
                decode(value)
                    .filter(|text| !text.is_empty())
                    .ok_or_else(|| malformed(key, &format!("`{name}` has no text as its value")))
            };
            match name {
                "token" => location.token.label = Some(text()?),
                "serial" => location.token.serial = Some(text()?),
                "manufacturer" => location.token.manufacturer = Some(text()?),
                "model" => location.token.model = Some(text()?),
                "object" => location.object = Some(text()?),
                "id" => {
                    location.id = Some(decode_bytes(value).ok_or_else(|| {
                        malformed(
                            key,
                            "`id` is not \
                     percent-encoded",
                        )
                    })?)
                }
                // Tools print this part of a URI, and it says what is looked for anyway.
                "type" if value == "secret-key" => {}
                _ => {
                    return Err(malformed(key, &format!("unknown attribute `{name}`"))
                        .with_hint("the attributes are token, serial, manufacturer, model, object, id"));
                }
            }
        }
        match (&location.object, &location.id) {
            (None, None) => Err(malformed(key, "it names no key").with_hint("write `object=LABEL` or `id=%01`")),
            _ => Ok(location),
        }
    }
}

impl TokenAttributes {
    fn fits(&self, info: &TokenInfo) -> bool {
        // PKCS#11 pads these fields with spaces to a fixed length.
        let fits = |wanted: &Option<String>, is: &str| wanted.as_deref().is_none_or(|wanted| wanted == is.trim_end());
        fits(&self.label, info.label())
            && fits(&self.serial, info.serial_number())
            && fits(&self.manufacturer, info.manufacturer_id())
            && fits(&self.model, info.model())
    }
}

fn slot(module: &Pkcs11, token: &TokenAttributes) -> Result<Slot> {
    let slots = module
        .get_slots_with_initialized_token()
        .map_err(|error| failed(error).into_error())?;
    let mut names = Vec::new();
    for slot in slots {
        // The token may have been removed since the slots were listed.
        let Ok(info) = module.get_token_info(slot) else {
            continue;
        };
        if token.fits(&info) {
            return Ok(slot);
        }
        names.push(format!("`{}`", info.label().trim_end()));
    }
    Err(
        Error::new(ErrorKind::KeyNotFound, "the HSM has no such token").with_hint(match names.as_slice() {
            [] => "no token was found: check that the HSM is connected and its client configured".to_owned(),
            names => format!("the tokens are {}", names.join(", ")),
        }),
    )
}

/// Finds the key. It must be able to wrap, and not leave the module.
fn find(session: &Session, location: &Pkcs11KeyLocation) -> Result<ObjectHandle, Failure> {
    let mut template = vec![
        Attribute::Class(ObjectClass::SECRET_KEY),
        Attribute::KeyType(KeyType::AES),
    ];
    template.extend(
        location
            .object
            .as_ref()
            .map(|label| Attribute::Label(label.clone().into_bytes())),
    );
    template.extend(location.id.clone().map(Attribute::Id));
    let handles = session.find_objects(&template).map_err(failed)?;
    let key = match handles.as_slice() {
        [key] => *key,
        [] => return Err(no_such_key("the HSM's token").into()),
        // Labels need not be unique. To take the first would wrap by a key that the next start of the HSM
        // may list second.
        _ => {
            let error = Error::bad_input(format!(
                "{} AES keys of the HSM's token match the reference",
                handles.len()
            ));
            return Err(error.with_hint("name one by its id, too: `;id=%01`").into());
        }
    };
    let wanted = [
        AttributeType::Extractable,
        AttributeType::Sensitive,
        AttributeType::ValueLen,
    ];
    let attributes = session.get_attributes(key, &wanted).map_err(failed)?;
    // A key that can be exported guards no more than a file does, and whoever chose an HSM relies on the
    // difference.
    let stays = attributes.contains(&Attribute::Extractable(false)) && attributes.contains(&Attribute::Sensitive(true));
    if !stays || !attributes.contains(&Attribute::ValueLen(32.into())) {
        let error = Error::new(
            ErrorKind::KeyNotUsable,
            "the HSM's key is not an AES-256 key that stays inside: CKA_SENSITIVE true, CKA_EXTRACTABLE false, \
             CKA_VALUE_LEN 32",
        );
        return Err(error.with_hint("create one in the HSM: see the manual").into());
    }
    Ok(key)
}

/// Returns the failure for a module's error code: passing, if a new session may help.
fn failed(error: Cryptoki) -> Failure {
    let Cryptoki::Pkcs11(code, _) = &error else {
        return Failure::Lasting(Error::new(ErrorKind::ProviderDown, "the PKCS#11 module failed").with_source(error));
    };
    let (kind, message, hint) = match code {
        // Never passing: each attempt with a wrong PIN brings the token nearer to being locked.
        RvError::PinIncorrect | RvError::PinInvalid | RvError::PinLenRange => (
            ErrorKind::NotAllowed,
            "the HSM's token refuses the PIN",
            "check the PIN; a few wrong ones lock the token",
        ),
        RvError::PinLocked | RvError::PinExpired => (
            ErrorKind::NotAllowed,
            "the PIN of the HSM's token is locked or has expired",
            "the security officer can set a new one",
        ),
        RvError::KeyFunctionNotPermitted | RvError::KeyTypeInconsistent => (
            ErrorKind::KeyNotUsable,
            "the HSM's key does not allow this",
            "it needs CKA_ENCRYPT and CKA_DECRYPT, and the mechanism CKM_AES_GCM",
        ),
        RvError::MechanismInvalid | RvError::MechanismParamInvalid => (
            ErrorKind::KeyNotUsable,
            "the HSM does not support CKM_AES_GCM as it is used here",
            "it needs a module with AES-GCM: a nonce of 12 bytes, a tag of 16",
        ),
        _ => (
            ErrorKind::ProviderDown,
            "the HSM failed",
            "check that it is connected and its client runs; then run this again",
        ),
    };
    let passing = matches!(
        code,
        RvError::SessionHandleInvalid
            | RvError::SessionClosed
            | RvError::DeviceRemoved
            | RvError::DeviceError
            | RvError::TokenNotPresent
            | RvError::UserNotLoggedIn
            | RvError::ObjectHandleInvalid
            | RvError::KeyHandleInvalid
            | RvError::CryptokiNotInitialized
    );
    let error = Error::new(kind, message).with_source(error).with_hint(hint);
    if passing {
        Failure::Passing(error)
    } else {
        Failure::Lasting(error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references() {
        let location = |text: &str| Pkcs11KeyLocation::parse(&text.parse().unwrap());
        let parsed =
            location("pkcs11:token=my%20hsm;object=kek;id=%01%ff?module-path=/usr/lib/x.so&pin-source=file:/run/pin")
                .unwrap();
        assert_eq!(parsed.token.label.as_deref(), Some("my hsm"));
        assert_eq!(
            (parsed.object.as_deref(), parsed.id),
            (Some("kek"), Some(vec![1, 0xff]))
        );
        assert_eq!(parsed.module, Some("/usr/lib/x.so".into()));
        assert_eq!(parsed.pin_source, Some("/run/pin".into()));
        for bad in [
            "pkcs11:token=t",
            "pkcs11:object",
            "pkcs11:object=",
            "pkcs11:object=a;colour=red",
            "pkcs11:object=a?module=x",
        ] {
            let error = location(bad).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::BadInput, "{bad}");
            assert!(!error.message().contains("1234"));
        }
    }
}
