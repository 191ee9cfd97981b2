package exchange

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"redhen/provision/ident"
	"redhen/raftnode/chunk"
)

// Offer serves the file at path under a name of 1 to 255 bytes to every box of the circle that
// knows the name, until Withdraw. The file must not change meanwhile.
func (x *Exchange) Offer(name, path string) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.files[name] = path
}

// Withdraw ends an offer. Who has begun to fetch the file may finish, as long as the file is there.
func (x *Exchange) Withdraw(name string) {
	x.mu.Lock()
	defer x.mu.Unlock()
	delete(x.files, name)
}

// FetchFile brings a file of size bytes and the given SHA-256 from another box to
// dst. A dst that is partly there is continued; one that turns out wrong at the end is fetched anew,
// once. On nil dst is verified and on disk (its name is not: the caller syncs the
// directory). After ErrContent dst is gone; after other errors it stays, to be continued.
func (x *Exchange) FetchFile(ctx context.Context, from ident.BoxID, name, dst string, size int64, hash [32]byte) error {
	if err := (fileQuestion{Name: name, From: size}).validate(); err != nil {
		return err
	}
	if err := x.fetchFile(ctx, from, name, dst, size, hash); err != nil {
		return fmt.Errorf("fetch file %s of %s: %w", name, from.Short(), err)
	}
	return nil
}

func (x *Exchange) fetchFile(ctx context.Context, from ident.BoxID, name, dst string, size int64, hash [32]byte) error {
	f, err := os.OpenFile(dst, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	defer f.Close()
	begun, err := partOf(f, size)
	if err != nil {
		return err
	}
	for fresh := begun == 0; ; fresh = true {
		err := x.patiently(ctx, func() (bool, error) {
			n, err := x.fetchRest(ctx, from, name, f, size)
			return n > 0, err
		})
		if err != nil {
			return err
		}
		err = verify(f, size, hash)
		if err == nil || !errors.Is(err, ErrContent) {
			return err
		}
		if fresh {
			return errors.Join(err, os.Remove(dst))
		}
		// What was there may have been of another file, or not have survived a crash.
		if err := f.Truncate(0); err != nil {
			return err
		}
	}
}

// partOf returns how much of the file is there; one that is too long is emptied.
func partOf(f *os.File, size int64) (int64, error) {
	info, err := f.Stat()
	if err != nil {
		return 0, err
	}
	if !info.Mode().IsRegular() {
		return 0, fmt.Errorf("%s: not a file", f.Name())
	}
	if info.Size() > size {
		return 0, f.Truncate(0)
	}
	return info.Size(), nil
}

// fetchRest appends what is missing over one stream and returns how much came.
func (x *Exchange) fetchRest(ctx context.Context, from ident.BoxID, name string, f *os.File, size int64) (n int64, err error) {
	begin, err := partOf(f, size)
	if err != nil {
		return 0, final{err}
	}
	if begin == size {
		return 0, nil
	}
	s, err := x.dial(ctx, from, fileService)
	if err != nil {
		return 0, err
	}
	defer func() { s.close(err) }()
	if err := s.write(fileQuestion{Name: name, From: begin}); err != nil {
		return 0, err
	}
	var a answer
	if err := s.read(&a); err != nil {
		return 0, noEOF(err)
	}
	switch err := a.Code.err(); {
	case errors.Is(err, chunk.ErrMissing):
		return 0, final{ErrNotOffered}
	case err != nil:
		return 0, err
	case a.Size != size-begin:
		return 0, final{fmt.Errorf("%w: %d bytes from %d on, of %d", ErrContent, a.Size, begin, size)}
	}
	buf := make([]byte, piece)
	for at := begin; at < size; {
		part := buf[:min(int64(len(buf)), size-at)]
		if err := s.readBytes(part, nil); err != nil {
			return at - begin, err
		}
		if _, err := f.WriteAt(part, at); err != nil {
			return at - begin, final{err}
		}
		at += int64(len(part))
	}
	return size - begin, nil
}

// verify syncs the file and compares the whole of it with its hash.
func verify(f *os.File, size int64, hash [32]byte) error {
	if err := f.Sync(); err != nil {
		return err
	}
	sum := sha256.New()
	n, err := io.Copy(sum, io.NewSectionReader(f, 0, size))
	if err != nil {
		return err
	}
	if n != size || [32]byte(sum.Sum(nil)) != hash {
		return ErrContent
	}
	return nil
}

// serveFile answers one question and sends the rest of the file.
func (x *Exchange) serveFile(_ context.Context, _ ident.BoxID, s *flow) error {
	var q fileQuestion
	if err := s.read(&q); err != nil {
		return clean(err)
	}
	f, size, err := x.openOffered(q.Name)
	if errors.Is(err, fs.ErrNotExist) {
		return s.write(answer{Code: codeMissing})
	}
	if err != nil {
		x.cfg.Logger.Warn("open an offered file", "name", q.Name, "err", err)
		return s.write(answer{Code: codeFailed})
	}
	defer f.Close()
	if err := s.write(answer{Code: codeDone, Size: max(0, size-q.From)}); err != nil {
		return err
	}
	return s.writeFrom(io.NewSectionReader(f, q.From, max(0, size-q.From)))
}

// openOffered opens an offered file; fs.ErrNotExist when it is not offered.
func (x *Exchange) openOffered(name string) (*os.File, int64, error) {
	x.mu.Lock()
	path, ok := x.files[name]
	x.mu.Unlock()
	if !ok {
		return nil, 0, fs.ErrNotExist
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, 0, err
	}
	info, err := f.Stat()
	if err != nil {
		f.Close()
		return nil, 0, err
	}
	return f, info.Size(), nil
}
