//! QR codes: drawn in a terminal, and as a picture for web pages.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use qrcode::render::unicode::Dense1x2;
use qrcode::{Color, EcLevel, QrCode};

/// Pixels to a module. Cameras read a code of this size off a screen without trouble.
const PIXELS_PER_MODULE: usize = 4;
/// Light modules around the code, as the standard asks.
const QUIET_ZONE_MODULES: usize = 4;

/// Draws a code with half blocks, two modules to a character, for a terminal that writes light on
/// dark. `None` if the text is too long for a QR code.
pub fn terminal(text: &str) -> Option<String> {
    let code = encode(text)?;
    // What a terminal paints is light, so the blocks stand for the light modules.
    let drawing =
        code.render::<Dense1x2>().dark_color(Dense1x2::Light).light_color(Dense1x2::Dark).build();
    Some(drawing)
}

/// The code as `data:image/png;base64,...`. `None` if the text is too long for a QR code.
pub fn png_data_url(text: &str) -> Option<String> {
    let code = encode(text)?;
    Some(format!("data:image/png;base64,{}", BASE64.encode(png(&bitmap(&code)))))
}

// Screens do not get dirty: the lowest level of error correction gives the largest modules.
fn encode(text: &str) -> Option<QrCode> {
    QrCode::with_error_correction_level(text, EcLevel::L).ok()
}

/// A square picture with one bit to a pixel, 1 for white, rows padded to whole bytes.
struct Bitmap {
    side: usize,
    bits: Vec<u8>,
}

fn bitmap(code: &QrCode) -> Bitmap {
    let modules = code.width();
    let side = (modules + 2 * QUIET_ZONE_MODULES) * PIXELS_PER_MODULE;
    let stride = side.div_ceil(8);
    let mut bits = vec![0xFF; stride * side];
    for (y, row) in bits.chunks_mut(stride).enumerate() {
        let Some(my) = module_at(y, modules) else { continue };
        for x in 0..side {
            let Some(mx) = module_at(x, modules) else { continue };
            if code[(mx, my)] == Color::Dark {
                row[x / 8] &= !(0x80 >> (x % 8));
            }
        }
    }
    Bitmap { side, bits }
}

/// The module a pixel shows, unless it lies in the quiet zone.
fn module_at(pixel: usize, modules: usize) -> Option<usize> {
    (pixel / PIXELS_PER_MODULE).checked_sub(QUIET_ZONE_MODULES).filter(|module| *module < modules)
}

/// A PNG with one grey bit to a pixel. Its data is stored, not compressed: a code is a few
/// kilobytes, which is not worth a compressor in the program.
fn png(bitmap: &Bitmap) -> Vec<u8> {
    let side = u32::try_from(bitmap.side).unwrap_or(u32::MAX).to_be_bytes();
    let mut header = Vec::with_capacity(13);
    header.extend(side);
    header.extend(side);
    // Bit depth 1, greyscale, and the only methods there are; not interlaced.
    header.extend([1, 0, 0, 0, 0]);

    let mut rows = Vec::with_capacity(bitmap.bits.len() + bitmap.side);
    for row in bitmap.bits.chunks(bitmap.side.div_ceil(8)) {
        rows.push(0); // This row is not filtered.
        rows.extend(row);
    }

    let mut file = b"\x89PNG\r\n\x1a\n".to_vec();
    chunk(&mut file, b"IHDR", &header);
    chunk(&mut file, b"IDAT", &zlib_stored(&rows));
    chunk(&mut file, b"IEND", &[]);
    file
}

fn chunk(file: &mut Vec<u8>, kind: &[u8; 4], data: &[u8]) {
    let length = u32::try_from(data.len()).unwrap_or(u32::MAX);
    file.extend(length.to_be_bytes());
    let checked_from = file.len();
    file.extend(kind);
    file.extend(data);
    let checksum = crc32(&file[checked_from..]);
    file.extend(checksum.to_be_bytes());
}

fn zlib_stored(data: &[u8]) -> Vec<u8> {
    let mut stream = vec![0x78, 0x01];
    let mut blocks = data.chunks(usize::from(u16::MAX)).peekable();
    while let Some(block) = blocks.next() {
        let length = block.len() as u16;
        stream.push(u8::from(blocks.peek().is_none()));
        stream.extend(length.to_le_bytes());
        stream.extend((!length).to_le_bytes());
        stream.extend(block);
    }
    stream.extend(adler32(data).to_be_bytes());
    stream
}

fn crc32(data: &[u8]) -> u32 {
    !data.iter().fold(!0, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| {
            if crc & 1 == 1 { (crc >> 1) ^ 0xEDB8_8320 } else { crc >> 1 }
        })
    })
}

fn adler32(data: &[u8]) -> u32 {
    const MODULUS: u32 = 65_521;
    let (a, b) = data.iter().fold((1, 0), |(a, b), byte| {
        let a = (a + u32::from(*byte)) % MODULUS;
        (a, (b + a) % MODULUS)
    });
    (b << 16) | a
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "2@ref,bm9pc2U=,aWRlbnRpdHk=,YWR2,1";

    #[test]
    fn checksums_are_the_standard_ones() {
        assert_eq!(crc32(b"123456789"), 0xCBF4_3926);
        assert_eq!(adler32(b"Wikipedia"), 0x11E6_0398);
    }

    #[test]
    fn the_picture_shows_every_module_and_a_quiet_zone() {
        let code = encode(TEXT).unwrap();
        let picture = bitmap(&code);
        let stride = picture.side.div_ceil(8);
        let dark = |x: usize, y: usize| picture.bits[y * stride + x / 8] & (0x80 >> (x % 8)) == 0;
        for y in 0..picture.side {
            for x in 0..picture.side {
                let module = (module_at(x, code.width()), module_at(y, code.width()));
                let expected = match module {
                    (Some(mx), Some(my)) => code[(mx, my)] == Color::Dark,
                    _ => false,
                };
                assert_eq!(dark(x, y), expected, "pixel {x},{y}");
            }
        }
    }

    #[test]
    fn the_png_has_its_chunks_in_order() {
        let url = png_data_url(TEXT).unwrap();
        let file = BASE64.decode(url.strip_prefix("data:image/png;base64,").unwrap()).unwrap();
        assert!(file.starts_with(b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR"));
        assert!(file.ends_with(b"\0\0\0\0IEND\xae\x42\x60\x82"));
        let width = u32::from_be_bytes(file[16..20].try_into().unwrap());
        let bits = &bitmap(&encode(TEXT).unwrap());
        assert_eq!(width as usize, bits.side);
    }

    #[test]
    fn the_terminal_drawing_is_as_wide_as_the_code() {
        let drawing = terminal(TEXT).unwrap();
        let width = encode(TEXT).unwrap().width() + 2 * QUIET_ZONE_MODULES;
        assert!(drawing.lines().all(|line| line.chars().count() == width));
        assert_eq!(drawing.lines().count(), width.div_ceil(2));
        assert!(drawing.starts_with('█'), "the quiet zone is light");
    }

    #[test]
    fn too_much_text_is_no_code() {
        assert_eq!(terminal(&"x".repeat(10_000)), None);
    }
}
