package fire

import (
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"redhen/cmd/redhen/child"
)

// dav is a small WebDAV client of the person, at one box.
type dav struct {
	base string // without a slash at the end
	http *http.Client
}

// answerPatience is how long one answer may take, the bytes of the large file included.
const answerPatience = 5 * time.Minute

func newDAV(box *child.Box) *dav {
	return &dav{box.URL() + "/dav/" + person, &http.Client{Timeout: answerPatience, Transport: &http.Transport{MaxIdleConnsPerHost: 4}}}
}

func (d *dav) do(ctx context.Context, method, path string, body io.Reader) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, method, d.base+(&url.URL{Path: "/" + path}).EscapedPath(), body)
	if err != nil {
		return nil, err
	}
	req.SetBasicAuth(person, password)
	resp, err := d.http.Do(req)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode >= 300 {
		defer resp.Body.Close()
		said, _ := io.ReadAll(io.LimitReader(resp.Body, 1<<10)) // an empty answer says enough, too
		return nil, fmt.Errorf("%s %s: %s: %s", method, req.URL, resp.Status, strings.TrimSpace(string(said)))
	}
	return resp, nil
}

// put writes a file and returns in how many houses the box says that it is kept.
func (d *dav) put(ctx context.Context, path string, body io.Reader) (kept int, err error) {
	resp, err := d.do(ctx, http.MethodPut, path, body)
	if err != nil {
		return 0, err
	}
	resp.Body.Close()
	return strconv.Atoi(resp.Header.Get("Redhen-Kept"))
}

// get reads a file and returns its hash.
func (d *dav) get(ctx context.Context, path string) (content sum, err error) {
	resp, err := d.do(ctx, http.MethodGet, path, nil)
	if err != nil {
		return content, err
	}
	defer resp.Body.Close()
	h := sha256.New()
	if _, err := io.Copy(h, resp.Body); err != nil {
		return content, fmt.Errorf("GET %s: %w", path, err)
	}
	return sum(h.Sum(nil)), nil
}
