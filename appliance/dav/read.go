package dav

import (
	"io"
	"net/http"
	"net/url"

	"redhen/appliance/space"
)

// get answers GET and HEAD, with ranges and conditions.
func (q *request) get() error {
	if q.fs == nil || q.path == "/" {
		return &refusal{http.StatusMethodNotAllowed, space.ErrIsDirectory}
	}
	f, err := q.fs.Open(q.r.Context(), q.path)
	if err != nil {
		return err
	}
	defer f.Close()
	info := f.Info()
	head := q.w.Header()
	head.Set("ETag", info.ETag())
	head.Set("Content-Type", space.ContentType(info.Name))
	head.Set("Cache-Control", "private, no-cache")
	// A page that somebody stored must not act with the rights of our own pages.
	head.Set("Content-Security-Policy", "sandbox")
	head.Set("X-Content-Type-Options", "nosniff")
	w := &lateWriter{ResponseWriter: q.w}
	body := &watchedFile{ReadSeeker: f}
	http.ServeContent(w, q.r, "", info.ModTime, body)
	if body.err != nil && !w.sent {
		for _, h := range []string{"ETag", "Content-Length", "Content-Range", "Last-Modified", "Accept-Ranges"} {
			head.Del(h)
		}
		return body.err
	}
	w.send()
	return nil
}

// escapePath returns a path as a header or href carries it.
func escapePath(p string) string { return (&url.URL{Path: p}).EscapedPath() }

// A lateWriter holds the status back until there are bytes, so that a file whose
// first bytes are not in reach can still be answered with a sentence.
type lateWriter struct {
	http.ResponseWriter
	status int
	sent   bool
}

// WriteHeader remembers the status.
func (w *lateWriter) WriteHeader(status int) { w.status = status }

// Write sends the status, then the bytes.
func (w *lateWriter) Write(b []byte) (int, error) {
	w.send()
	return w.ResponseWriter.Write(b)
}

func (w *lateWriter) send() {
	if !w.sent && w.status != 0 {
		w.sent = true
		w.ResponseWriter.WriteHeader(w.status)
	}
}

// A watchedFile remembers the error that ended its reading, which http.ServeContent swallows.
type watchedFile struct {
	io.ReadSeeker
	err error
}

// Read reads and remembers.
func (f *watchedFile) Read(b []byte) (int, error) {
	n, err := f.ReadSeeker.Read(b)
	if err != nil && err != io.EOF {
		f.err = err
	}
	return n, err
}
