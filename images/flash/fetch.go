package flash

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"os"
	"path"
	"strings"

	"redhen/images/card"
)

// Fetching is the stage before card.Writing, where an image comes from an address.
const Fetching card.Stage = "fetching"

// IsAddress reports whether an image is to be fetched.
func IsAddress(image string) bool {
	return strings.HasPrefix(image, "https://") || strings.HasPrefix(image, "http://")
}

// Fetch gets an image from an address into a file that is gone after close, and opens
// it as Open does. sum is the SHA-256 of what is fetched, in hex: without it nobody
// vouches for what comes. The error is a *Refusal, or the context's.
func Fetch(ctx context.Context, address, sum string, tell card.Progress) (*os.File, error) {
	want, err := hex.DecodeString(strings.TrimSpace(sum))
	if err != nil || len(want) != sha256.Size {
		return nil, refuse("An image from an address needs its SHA-256, 64 letters and digits. Nothing was changed. Take it from where redhen's releases are, and add --sha256.")
	}
	f, err := os.CreateTemp("", "redhen-fetch-*"+path.Ext(path.Base(address)))
	if err != nil {
		return nil, err
	}
	defer f.Close()
	defer os.Remove(f.Name())
	got, err := download(ctx, f, address, tell)
	switch {
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case err != nil:
		return nil, refuse("The image at %s did not come (%v). Nothing was changed. Try again, or fetch it in another way.", address, err)
	case got != [sha256.Size]byte(want):
		return nil, refuse("What came from %s is not what the SHA-256 stands for. Nothing was changed. Compare the number with the one where redhen's releases are.", address)
	}
	return Open(ctx, f.Name())
}

// download writes what is at an address, and returns its hash.
func download(ctx context.Context, to io.Writer, address string, tell card.Progress) (sum [sha256.Size]byte, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return sum, err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return sum, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return sum, fmt.Errorf("%s", resp.Status)
	}
	h, counted := sha256.New(), &counter{size: resp.ContentLength, tell: tell}
	n, err := io.Copy(io.MultiWriter(to, h, counted), io.LimitReader(resp.Body, maxImage))
	if err == nil && resp.ContentLength >= 0 && n != resp.ContentLength {
		err = io.ErrUnexpectedEOF
	}
	return [sha256.Size]byte(h.Sum(nil)), err
}

// counter tells how much has passed.
type counter struct {
	done, size int64
	tell       card.Progress
}

// Write implements io.Writer.
func (c *counter) Write(b []byte) (int, error) {
	c.done += int64(len(b))
	if c.tell != nil && c.size > 0 {
		c.tell(Fetching, c.done, c.size)
	}
	return len(b), nil
}
