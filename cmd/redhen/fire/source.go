package fire

import (
	"crypto/sha256"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
)

// sum is the hash by which a file is known.
type sum = [sha256.Size]byte

// source is a folder of files to upload.
type source struct {
	dir   string
	paths []string // below dir, with slashes
	sums  map[string]sum
	bytes int64
}

// makeSource draws small files in some folders, and one large one.
func makeSource(dir string, cfg Config, rng *rand.Rand) (*source, error) {
	src := &source{dir: dir, sums: map[string]sum{}}
	var seed [32]byte
	for i := range seed {
		seed[i] = byte(rng.Uint32())
	}
	bytes := rand.NewChaCha8(seed)
	for i := range cfg.Files {
		size := rng.Int64N(64 << 10)
		switch {
		case i%50 == 7:
			size = 0
		case i%25 == 3:
			size = rng.Int64N(3 << 20)
		}
		if err := src.add(fmt.Sprintf("Album %02d/photo %04d.jpg", i%20, i), size, bytes); err != nil {
			return nil, err
		}
	}
	return src, src.add("Films/holiday.mkv", cfg.Big, bytes)
}

func (s *source) add(path string, size int64, from io.Reader) error {
	full := filepath.Join(s.dir, filepath.FromSlash(path))
	if err := os.MkdirAll(filepath.Dir(full), 0o755); err != nil {
		return fmt.Errorf("make files: %w", err)
	}
	f, err := os.Create(full)
	if err != nil {
		return fmt.Errorf("make files: %w", err)
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.CopyN(io.MultiWriter(f, h), from, size); err != nil {
		return fmt.Errorf("make files: %w", err)
	}
	s.paths = append(s.paths, path)
	s.sums[path] = sum(h.Sum(nil))
	s.bytes += size
	return f.Close()
}
