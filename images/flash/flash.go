package flash

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/ulikunitz/xz"

	"redhen/images/card"
	"redhen/images/layout"
	"redhen/provision/seed"
)

// maxImage bounds an image that is unpacked, in bytes.
const maxImage = 4 << 30

// Open opens an image; one whose name ends in .xz is unpacked to a file that is gone
// after close.
func Open(ctx context.Context, path string) (image *os.File, err error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, refuse("The image %s cannot be read (%v). Nothing was changed. Name an image with --image.", path, err)
	}
	if strings.HasSuffix(path, ".xz") {
		packed := f
		defer packed.Close()
		if f, err = unpack(ctx, packed); err != nil {
			return nil, refuse("The image %s cannot be unpacked (%v). Nothing was changed. Get it again.", path, err)
		}
	}
	if _, err := layout.FindData(f); err != nil {
		f.Close()
		return nil, refuse("%s is no redhen image. Nothing was changed. Name one with --image.", path)
	}
	return f, nil
}

func unpack(ctx context.Context, packed io.Reader) (*os.File, error) {
	r, err := xz.ReaderConfig{DictCap: 64 << 20}.NewReader(packed)
	if err != nil {
		return nil, err
	}
	f, err := os.CreateTemp("", "redhen-image-")
	if err != nil {
		return nil, err
	}
	os.Remove(f.Name()) // it is gone when it is closed
	n, err := io.Copy(f, io.LimitReader(&stopped{ctx, r}, maxImage))
	if err == nil && (n == 0 || n == maxImage) {
		err = fmt.Errorf("it has %d bytes", n)
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// stopped ends with its context.
type stopped struct {
	ctx context.Context
	r   io.Reader
}

// Read implements io.Reader.
func (s *stopped) Read(b []byte) (int, error) {
	if err := s.ctx.Err(); err != nil {
		return 0, err
	}
	return s.r.Read(b)
}

// Write writes an image with a box's settings to a target and reads both back.
func Write(ctx context.Context, t Target, image *os.File, s seed.Seed, tell card.Progress) error {
	st, err := image.Stat()
	if err != nil {
		return fmt.Errorf("read image: %w", err)
	}
	flags := os.O_RDWR | os.O_CREATE
	if t.Device {
		flags = os.O_RDWR | os.O_EXCL // the kernel, too, refuses a disk that is in use
	}
	f, err := os.OpenFile(t.Path, flags, 0o600) // the settings hold secrets
	if err != nil {
		return fmt.Errorf("open card: %w", err)
	}
	err = card.Write(ctx, f, image, st.Size(), tell)
	if err == nil && !s.IsZero() {
		err = card.Seed(f, s)
	}
	return errors.Join(err, f.Close())
}

// Explain puts an error of Write into words.
func Explain(err error) string {
	switch {
	case errors.Is(err, context.Canceled):
		return "Stopped before the end. The card holds nothing that starts; write it again."
	case errors.Is(err, card.ErrDiffers):
		return "The card gives back other bytes than were written to it, so it is worn out or a fake. It holds nothing to rely on. Take another card."
	case errors.Is(err, card.ErrTooSmall):
		return "The card is too small. It was not written to. Take one of 8 GB or more."
	case errors.Is(err, os.ErrPermission):
		return "The system does not allow writing there. Nothing was changed. For a card, run the command as root (sudo)."
	}
	return fmt.Sprintf("The card could not be written (%v). What it holds does not start. Put it in again and try once more; if that does not help, take another card.", err)
}
