package clients

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"path"
	"strconv"
	"strings"
	"time"

	"redhen/cmd/redhen/child"
)

// sum is the hash by which the tests know a file.
type sum = [sha256.Size]byte

// answer is what a box said to a request.
type answer struct {
	code int
	head http.Header
	said string // the body of all answers but files
	sum  sum    // of a file
	took time.Duration
}

// kept is the number of houses that the answer promises, -1 when it promises none.
func (a answer) kept() int {
	n, err := strconv.Atoi(a.head.Get("Redhen-Kept"))
	if err != nil {
		return -1
	}
	return n
}

// String shows status and sentence.
func (a answer) String() string {
	return fmt.Sprintf("%d after %.1f s: %s", a.code, a.took.Seconds(), strings.TrimSpace(a.said))
}

// davURL is where the person's files are at a box.
func davURL(b *child.Box) string { return b.URL() + "/dav/" + person }

// dav sends a request of the person to a box. A GET that answers 200 is hashed.
func (c *circle) dav(ctx context.Context, i int, method, file string, body io.Reader, head ...string) (a answer, err error) {
	began := time.Now()
	req, err := http.NewRequestWithContext(ctx, method, davURL(c.boxes[i])+(&url.URL{Path: "/" + file}).EscapedPath(), body)
	if err != nil {
		return a, err
	}
	req.SetBasicAuth(person, c.secret)
	for i := 0; i+1 < len(head); i += 2 {
		req.Header.Set(head[i], head[i+1])
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Do(req)
	if err != nil {
		return a, err
	}
	defer resp.Body.Close()
	a.code, a.head = resp.StatusCode, resp.Header
	h := sha256.New()
	var said bytes.Buffer
	var into io.Writer = h
	if method != http.MethodGet || resp.StatusCode >= 300 {
		into = &said
	}
	_, err = io.Copy(into, resp.Body)
	a.said, a.sum, a.took = said.String(), sum(h.Sum(nil)), time.Since(began)
	return a, err
}

// source is a stream of bytes that are drawn from a seed, and hashed as they are read.
type source struct {
	io.Reader
	sum func() sum
}

// drawn is n bytes.
func drawn(seed uint64, n int64) *source {
	var key [32]byte
	key[0], key[1], key[2] = byte(seed), byte(seed>>8), byte(seed>>16)
	h := sha256.New()
	return &source{Reader: io.TeeReader(io.LimitReader(rand.NewChaCha8(key), n), h), sum: func() sum { return sum(h.Sum(nil)) }}
}

// put writes a file that must be answered as written, and returns the answer with its hash.
func (c *circle) put(i int, file string, seed uint64, size int64) answer {
	c.t.Helper()
	src := drawn(seed, size)
	a, err := c.dav(c.ctx, i, http.MethodPut, file, src)
	if err != nil || a.code != http.StatusCreated && a.code != http.StatusNoContent {
		c.t.Fatalf("PUT %s at %s: %v, %v", file, boxNames()[i], a, err)
	}
	a.sum = src.sum()
	return a
}

// putSafe writes a file until it is answered as kept in two houses, and returns that answer:
// where writes settle, a slow machine may take longer for one than it is waited for.
func (c *circle) putSafe(i int, file string, seed uint64, size int64) (a answer) {
	c.t.Helper()
	c.wait(file+" is kept in two houses", func(context.Context) error {
		if a = c.put(i, file, seed, size); a.kept() < 2 {
			return fmt.Errorf("PUT %s at %s: %v, kept in %d houses", file, boxNames()[i], a, a.kept())
		}
		return nil
	})
	return a
}

// get reads a file; once more when the first time fails.
func (c *circle) get(ctx context.Context, i int, file string) (sum, error) {
	var last error
	for range 2 {
		a, err := c.dav(ctx, i, http.MethodGet, file, nil)
		if err == nil && a.code == http.StatusOK {
			return a.sum, nil
		}
		last = errors.Join(err, fmt.Errorf("GET %s at %s: %v", file, boxNames()[i], a))
	}
	return sum{}, last
}

// want checks that a file reads as it was written, at a box.
func (c *circle) want(i int, file string, want sum) {
	c.t.Helper()
	if got, err := c.get(c.ctx, i, file); err != nil || got != want {
		c.t.Errorf("%s at %s: %x, %v; want %x", file, boxNames()[i], got[:4], err, want[:4])
	}
}

// tree reads everything below a directory at a box; folders have a zero hash.
func (c *circle) tree(i int, dir string) map[string]sum {
	c.t.Helper()
	all := map[string]sum{}
	entries, err := c.boxes[i].List(c.ctx, person, "/"+dir)
	if err != nil {
		c.t.Fatalf("list %s: %v", dir, err)
	}
	for _, e := range entries {
		file := path.Join(dir, e.Name)
		all[file] = sum{}
		if e.Dir {
			for name, s := range c.tree(i, file) {
				all[name] = s
			}
			continue
		}
		if all[file], err = c.get(c.ctx, i, file); err != nil {
			c.t.Error(err)
		}
	}
	return all
}

func sumOf(text string) sum { return sha256.Sum256([]byte(text)) }
