package panel

import (
	"errors"
	"fmt"
	"image"
	"os"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Format is how a framebuffer has its pixels.
type Format struct {
	Width, Height    int // in pixels
	Stride           int // bytes of a row
	Bits             int // of a pixel: 16, 24 or 32
	Start            int // byte of the first pixel that is seen
	Red, Green, Blue Field
}

// Field is where in a pixel, read as a little-endian number, a colour has its bits.
type Field struct{ Offset, Length int }

// ErrFormat says that a screen has pixels of a kind that is not known here.
var ErrFormat = errors.New("the screen has pixels of an unknown kind")

func (f Format) validate() error {
	ok := f.Width > 0 && f.Width <= 16384 && f.Height > 0 && f.Height <= 16384 && f.Start >= 0 &&
		(f.Bits == 16 || f.Bits == 24 || f.Bits == 32) && f.Stride >= f.Width*f.Bits/8 && f.Stride <= 1<<20
	for _, c := range []Field{f.Red, f.Green, f.Blue} {
		ok = ok && c.Length > 0 && c.Length <= 8 && c.Offset >= 0 && c.Offset+c.Length <= f.Bits
	}
	if !ok {
		return fmt.Errorf("%w: %+v", ErrFormat, f)
	}
	return nil
}

// Row returns row y of a picture in the format; beyond the picture it is black.
func (f Format) Row(img *image.RGBA, y int) []byte {
	size := f.Bits / 8
	row := make([]byte, f.Width*size)
	for x := range min(f.Width, img.Bounds().Dx()) {
		if y >= img.Bounds().Dy() {
			break
		}
		p := img.Pix[img.PixOffset(x, y):]
		v := f.Red.put(p[0]) | f.Green.put(p[1]) | f.Blue.put(p[2])
		for i := range size {
			row[x*size+i] = byte(v >> (8 * i))
		}
	}
	return row
}

// put moves the high bits of a colour to their place.
func (c Field) put(v byte) uint32 { return uint32(v>>(8-c.Length)) << c.Offset }

// Frame is the framebuffer of a screen.
type Frame struct {
	file    *os.File
	console *os.File // nil: not ours
	format  Format
}

// The kernel's structures and requests (linux/fb.h, linux/kd.h).
const (
	getVariable, getFixed = 0x4600, 0x4602
	setConsole            = 0x4B3A
	consoleText           = 0
	consoleGraphics       = 1
)

type bitfield struct{ offset, length, msbRight uint32 }

type variableInfo struct {
	xres, yres, xresVirtual, yresVirtual, xoffset, yoffset, bits, grayscale uint32
	red, green, blue, transp                                                bitfield
	rest                                                                    [20]uint32
}

type fixedInfo struct {
	id                        [16]byte
	start                     uintptr
	length, kind, aux, visual uint32
	xpan, ypan, ywrap, _      uint16
	lineLength                uint32
	rest                      [64]byte
}

// OpenFrame opens the first screen, and has the kernel's own console keep off it. The
// error is os.ErrNotExist on a box without a screen.
func OpenFrame() (*Frame, error) {
	file, err := os.OpenFile("/dev/fb0", os.O_RDWR, 0)
	if err != nil {
		return nil, fmt.Errorf("open the screen: %w", err)
	}
	f := &Frame{file: file}
	if f.format, err = readFormat(file); err != nil {
		file.Close()
		return nil, fmt.Errorf("open the screen: %w", err)
	}
	if f.console, err = os.OpenFile("/dev/tty0", os.O_RDWR, 0); err == nil {
		// Where there is no console it draws nothing either.
		_ = unix.IoctlSetInt(int(f.console.Fd()), setConsole, consoleGraphics)
	}
	return f, nil
}

func readFormat(file *os.File) (Format, error) {
	var v variableInfo
	var x fixedInfo
	for req, p := range map[uintptr]unsafe.Pointer{getVariable: unsafe.Pointer(&v), getFixed: unsafe.Pointer(&x)} {
		if _, _, errno := unix.Syscall(unix.SYS_IOCTL, file.Fd(), req, uintptr(p)); errno != 0 {
			return Format{}, errno
		}
	}
	field := func(b bitfield) Field { return Field{int(b.offset), int(b.length)} }
	f := Format{
		Width: int(v.xres), Height: int(v.yres), Stride: int(x.lineLength), Bits: int(v.bits),
		Start: int(v.yoffset)*int(x.lineLength) + int(v.xoffset)*int(v.bits)/8,
		Red:   field(v.red), Green: field(v.green), Blue: field(v.blue),
	}
	return f, f.validate()
}

// Size is that of the screen, in pixels.
func (f *Frame) Size() (width, height int) { return f.format.Width, f.format.Height }

// Show puts a picture onto the screen.
func (f *Frame) Show(img *image.RGBA) error {
	for y := range f.format.Height {
		if _, err := f.file.WriteAt(f.format.Row(img, y), int64(f.format.Start+y*f.format.Stride)); err != nil {
			return fmt.Errorf("draw the screen: %w", err)
		}
	}
	return nil
}

// Close gives the screen back to the kernel's console.
func (f *Frame) Close() error {
	if f.console != nil {
		_ = unix.IoctlSetInt(int(f.console.Fd()), setConsole, consoleText) // as when it was opened
		f.console.Close()
	}
	return f.file.Close()
}
