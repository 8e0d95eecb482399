//! The formats that policies name: one file each.

use super::parameters::ParseFormat;

/// Declares the formats: a line each, with the name that policies have for it and its file.
macro_rules! builtin_formats {
    // The modules and the list come from one table, so that a format cannot be written and then forgotten in the
    // list.
    ($($name:literal $module:ident)*) => {
        $(mod $module;)*

        /// Every format by the name that policies have for it, in alphabetical order.
        pub(super) const BUILTIN: &[(&str, ParseFormat)] = &[$(($name, $module::parse)),*];
    };
}

builtin_formats! {
    "alphabet" alphabet
    "alphanumeric" alphanumeric
    "base64url" base64url
    "date" date
    "decimal" decimal
    "digits" digits
    "email" email
    "hex" hex
    "iban" iban
    "integer" integer
    "ipv4" ipv4
    "ipv6" ipv6
    "mac" mac
    "name" name
    "npi" npi
    "opaque" opaque
    "pan" pan
    "phone" phone
    "postcode" postcode
    "template" template
    "text" text
    "time" time
    "timestamp" timestamp
    "us-ssn" us_ssn
    "uuid" uuid
    "vin" vin
}
