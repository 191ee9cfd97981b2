package card

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
)

// ErrDiffers says that a card gives back other bytes than were written to it.
var ErrDiffers = errors.New("the card gives back other bytes than were written")

// ErrTooSmall says that an image is larger than the card.
var ErrTooSmall = errors.New("the card is too small")

// Stage is what Write does at the moment.
type Stage string

// The stages, one after the other.
const (
	Writing Stage = "writing"
	Reading Stage = "reading back"
)

// Progress is told how far Write is, in bytes; nil is told nothing.
type Progress func(stage Stage, done, size int64)

// piece is read and written at once: what a card takes well.
const piece = 4 << 20

// Write writes an image of size bytes over what is on target, from its start, and
// reads all of it back. Where target is a plain file it becomes as long as the image.
// With an error target holds nothing that starts. The first bytes are written last, so
// that a card that was pulled too early is no card of ours.
func Write(ctx context.Context, target *os.File, image io.ReaderAt, size int64, tell Progress) error {
	if tell == nil {
		tell = func(Stage, int64, int64) {}
	}
	if err := fits(target, size); err != nil {
		return err
	}
	if _, err := target.WriteAt(make([]byte, min(piece, size)), 0); err != nil {
		return fmt.Errorf("write card: %w", err)
	}
	st, err := target.Stat()
	if err != nil {
		return fmt.Errorf("write card: %w", err)
	}
	holes, zeros := st.Mode().IsRegular(), make([]byte, piece)
	err = inPieces(ctx, image, piece, size, func(b []byte, at int64) error {
		if !holes || !bytes.Equal(b, zeros[:len(b)]) { // those are there already
			if _, err := target.WriteAt(b, at); err != nil {
				return err
			}
		}
		tell(Writing, at+int64(len(b)), size)
		return nil
	})
	if err == nil {
		err = inPieces(ctx, image, 0, min(piece, size), func(b []byte, at int64) error {
			_, err := target.WriteAt(b, at)
			return err
		})
	}
	if err == nil {
		err = target.Sync()
	}
	if err != nil {
		return fmt.Errorf("write card: %w", err)
	}
	return verify(ctx, target, image, size, tell)
}

// fits makes a plain file fit, and asks a device.
func fits(target *os.File, size int64) error {
	st, err := target.Stat()
	if err != nil {
		return fmt.Errorf("write card: %w", err)
	}
	if st.Mode().IsRegular() {
		if err := target.Truncate(0); err != nil { // unwritten holes then read as zeros
			return fmt.Errorf("write card: %w", err)
		}
		return target.Truncate(size)
	}
	room, err := target.Seek(0, io.SeekEnd)
	if err != nil {
		return fmt.Errorf("write card: %w", err)
	}
	if room < size {
		return fmt.Errorf("write card: %d bytes, the image has %d: %w", room, size, ErrTooSmall)
	}
	return nil
}

// verify compares what the card holds with the image.
func verify(ctx context.Context, target *os.File, image io.ReaderAt, size int64, tell Progress) error {
	forget(target)
	got := make([]byte, piece)
	err := inPieces(ctx, image, 0, size, func(b []byte, at int64) error {
		if _, err := target.ReadAt(got[:len(b)], at); err != nil {
			return err
		}
		if !bytes.Equal(b, got[:len(b)]) {
			return fmt.Errorf("between byte %d and %d: %w", at, at+int64(len(b)), ErrDiffers)
		}
		tell(Reading, at+int64(len(b)), size)
		return nil
	})
	if err != nil {
		return fmt.Errorf("read card back: %w", err)
	}
	return nil
}

// inPieces hands on what image has between two bytes.
func inPieces(ctx context.Context, image io.ReaderAt, from, to int64, fn func(b []byte, at int64) error) error {
	buf := make([]byte, piece)
	for at := from; at < to; at += piece {
		if err := ctx.Err(); err != nil {
			return err
		}
		b := buf[:min(piece, to-at)]
		if n, err := image.ReadAt(b, at); n < len(b) {
			return fmt.Errorf("read image: %w", errors.Join(err, io.ErrUnexpectedEOF))
		}
		if err := fn(b, at); err != nil {
			return err
		}
	}
	return nil
}
