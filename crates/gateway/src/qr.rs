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

/// Returns the code as `data:image/png;base64,...`. `None` if the text is too long for a QR code.
pub fn png_data_url(text: &str) -> Option<String> {
    let code = encode(text)?;
    let file = png(&bitmap(&code)).expect("writing into memory does not fail");
    Some(format!("data:image/png;base64,{}", BASE64.encode(file)))
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

/// Returns the module a pixel shows, unless it lies in the quiet zone.
fn module_at(pixel: usize, modules: usize) -> Option<usize> {
    (pixel / PIXELS_PER_MODULE).checked_sub(QUIET_ZONE_MODULES).filter(|module| *module < modules)
}

/// Returns a PNG with one grey bit to a pixel.
fn png(bitmap: &Bitmap) -> Result<Vec<u8>, png::EncodingError> {
    let side = u32::try_from(bitmap.side).unwrap_or(u32::MAX);
    let mut file = vec![];
    let mut encoder = png::Encoder::new(&mut file, side, side);
    encoder.set_color(png::ColorType::Grayscale);
    encoder.set_depth(png::BitDepth::One);
    encoder.write_header()?.write_image_data(&bitmap.bits)?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "2@ref,bm9pc2U=,aWRlbnRpdHk=,YWR2,1";

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
    fn the_png_holds_the_picture() {
        let url = png_data_url(TEXT).unwrap();
        let file = BASE64.decode(url.strip_prefix("data:image/png;base64,").unwrap()).unwrap();
        let mut reader = png::Decoder::new(std::io::Cursor::new(file)).read_info().unwrap();
        let mut read = vec![0; reader.output_buffer_size().unwrap()];
        let info = reader.next_frame(&mut read).unwrap();
        let picture = bitmap(&encode(TEXT).unwrap());
        assert_eq!((info.width as usize, info.height as usize), (picture.side, picture.side));
        assert_eq!(read, picture.bits);
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
    fn a_text_too_long_for_a_qr_gives_none() {
        assert_eq!(terminal(&"x".repeat(10_000)), None);
    }
}
