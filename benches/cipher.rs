//! quick
mod common;
use cipherform::cipher::limit::*;
use cipherform::cipher::*;
fn main() {
    let key = AesKey::try_new(&[7; 32]).unwrap();
    for (radix, n) in [
        (10, 16),
        (10, 9),
        (10, 7),
        (10, 17),
        (10, 18),
        (36, 12),
        (62, 10),
        (10, 19),
        (10, 26),
        (62, 20),
        (10, 36),
        (10, 38),
        (2, 30),
    ] {
        let cipher = Cipher::ff1(&key, Radix::try_new(radix).unwrap());
        let floor = AesAlone::new(&key);
        let mut enc = RoundsAlone::new(&cipher, n);
        let mut dec = RoundsAlone::new(&cipher, n);
        let mut c = [
            common::Contender::new(6400, || floor.encrypt(64000)),
            common::Contender::new(8192, move || enc.run(Direction::Encrypt, 8192)),
            common::Contender::new(8192, move || dec.run(Direction::Decrypt, 8192)),
        ];
        common::race(&mut c, 41);
        println!(
            "radix {radix} n {n}: floor {:.1} M/s  enc {:.3} dec {:.3}  (p50 {:.3} {:.3})",
            c[0].rate(0.9) / 1e6,
            c[1].rate(0.9) / c[0].rate(0.9),
            c[2].rate(0.9) / c[0].rate(0.9),
            c[1].rate(0.5) / c[0].rate(0.5),
            c[2].rate(0.5) / c[0].rate(0.5)
        );
    }
}
