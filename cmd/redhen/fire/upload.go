package fire

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"redhen/cmd/redhen/child"
)

// upload is rclone copying the source to a box, through a proxy that notes what
// every write was answered.
type upload struct {
	s     *story
	proxy *http.Server
	cmd   *exec.Cmd
	said  bytes.Buffer  // read only once ended is closed
	ended chan struct{} // closed when rclone is gone
	err   error         // how it ended; read only once ended is closed

	bytes atomic.Int64 // of bodies that went through
	files atomic.Int64 // answered
}

// startUpload has rclone copy what is not there yet.
func (s *story) startUpload(ctx context.Context, box *child.Box) (*upload, error) {
	u := &upload{s: s, ended: make(chan struct{})}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("upload: %w", err)
	}
	target, err := url.Parse(box.URL())
	if err != nil {
		return nil, fmt.Errorf("upload: %w", err)
	}
	u.proxy = &http.Server{Handler: u.counting(target), ReadHeaderTimeout: time.Minute}
	go u.proxy.Serve(l) // ends with stop
	if err := u.start(ctx, "http://"+l.Addr().String()+"/dav/"+person); err != nil {
		u.proxy.Close()
		return nil, err
	}
	return u, nil
}

func (u *upload) start(ctx context.Context, to string) error {
	hidden, err := exec.CommandContext(ctx, "rclone", "obscure", password).Output()
	if err != nil {
		return fmt.Errorf("the fire needs rclone: %w", err)
	}
	u.cmd = exec.Command("rclone", "copy", u.s.source.dir, "box:", "--transfers", "4", "--checkers", "4",
		"--retries", "3", "--low-level-retries", "3", "--size-only", "--stats", "0")
	u.cmd.Env = append(os.Environ(), "RCLONE_CONFIG="+os.DevNull, "RCLONE_CONFIG_BOX_TYPE=webdav", "RCLONE_CONFIG_BOX_VENDOR=other",
		"RCLONE_CONFIG_BOX_URL="+to, "RCLONE_CONFIG_BOX_USER="+person, "RCLONE_CONFIG_BOX_PASS="+strings.TrimSpace(string(hidden)))
	u.cmd.Stderr = &u.said
	if err := u.cmd.Start(); err != nil {
		return fmt.Errorf("the fire needs rclone: %w", err)
	}
	go func() { // ends with rclone
		u.err = u.cmd.Wait()
		close(u.ended)
	}()
	return nil
}

// counting is a proxy to the box that counts and notes.
func (u *upload) counting(target *url.URL) http.Handler {
	p := httputil.NewSingleHostReverseProxy(target)
	p.ErrorLog = log.New(io.Discard, "", 0)
	p.ModifyResponse = func(r *http.Response) error {
		if r.Request.Method != http.MethodPut || r.StatusCode >= 300 {
			return nil
		}
		path := strings.TrimPrefix(r.Request.URL.Path, "/dav/"+person+"/")
		content, ours := u.s.source.sums[path]
		kept, err := strconv.Atoi(r.Header.Get("Redhen-Kept"))
		if !ours || err != nil {
			return fmt.Errorf("write of %q answered Redhen-Kept %q", path, r.Header.Get("Redhen-Kept"))
		}
		u.s.ledger.answer(path, content, kept)
		u.files.Add(1)
		return nil
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.Body = &counted{r.Body, &u.bytes}
		p.ServeHTTP(w, r)
	})
}

type counted struct {
	io.ReadCloser
	n *atomic.Int64
}

func (c *counted) Read(b []byte) (int, error) {
	n, err := c.ReadCloser.Read(b)
	c.n.Add(int64(n))
	return n, err
}

// progress is between 0 and 1; files and bytes count the same.
func (u *upload) progress() float64 {
	src := u.s.source
	return float64(u.files.Load())/float64(len(src.paths))/2 + float64(u.bytes.Load())/float64(src.bytes)/2
}

// await waits for the moment of the upload.
func (u *upload) await(ctx context.Context, moment float64) error {
	ctx, end := context.WithTimeout(ctx, safePatience)
	defer end()
	for u.progress() < moment {
		select {
		case <-u.ended:
			return u.result() // without an error, it was faster than we looked
		case <-ctx.Done():
			return fmt.Errorf("the upload is at %.2f, not yet at %.2f: %w", u.progress(), moment, ctx.Err())
		case <-time.After(time.Millisecond):
		}
	}
	return nil
}

// wait waits until everything is uploaded.
func (u *upload) wait(ctx context.Context) error {
	ctx, end := context.WithTimeout(ctx, safePatience)
	defer end()
	select {
	case <-u.ended:
		return u.result()
	case <-ctx.Done():
		return fmt.Errorf("the upload did not end: %d files were answered: %w", u.files.Load(), ctx.Err())
	}
}

// result is how rclone ended; it has.
func (u *upload) result() error {
	if u.err != nil {
		return fmt.Errorf("rclone: %w:\n%s", u.err, child.LastLines(u.said.String(), 15))
	}
	return nil
}

// stop ends rclone and the proxy. It may be called twice.
func (u *upload) stop() {
	if err := u.cmd.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		fmt.Fprintln(u.s.Out, "end rclone:", err)
	}
	<-u.ended
	u.proxy.Close()
}
