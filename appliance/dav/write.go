package dav

import (
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"redhen/appliance/space"
)

// put stores the body as it arrives.
func (q *request) put() error {
	if strings.HasSuffix(q.r.URL.Path, "/") {
		return &refusal{http.StatusMethodNotAllowed, space.ErrIsDirectory}
	}
	if q.r.Header.Get("Content-Range") != "" { // RFC 9110 §14.5: never store a part as the whole
		return &refusal{http.StatusBadRequest, errBadRequest}
	}
	opt, err := q.putOptions()
	if err != nil {
		return err
	}
	_, err = q.fs.Stat(q.r.Context(), q.path)
	if err := q.guard(target{path: q.path, member: errors.Is(err, space.ErrNotFound)}); err != nil {
		return err
	}
	a, err := q.fs.Put(q.r.Context(), q.path, q.r.Body, opt)
	if err != nil {
		return err
	}
	if !opt.ModTime.IsZero() {
		q.w.Header().Set("X-OC-Mtime", "accepted")
	}
	return q.done(a, a.Created)
}

// putOptions reads the headers of a PUT.
func (q *request) putOptions() (opt space.PutOptions, err error) {
	head := q.r.Header
	if opt.WriteOptions, err = q.write(); err != nil {
		return opt, err
	}
	if opt.ModTime, err = ocTime(head.Get("X-OC-Mtime")); err != nil {
		return opt, err
	}
	opt.Size = q.r.ContentLength
	opt.IfMatch = tags(head.Values("If-Match"))
	opt.IfNoneMatch = tags(head.Values("If-None-Match"))
	return opt, nil
}

// ocTime reads the X-OC-Mtime header, seconds since 1970 with or without a
// fraction, as ownCloud's clients and rclone send it.
func ocTime(s string) (time.Time, error) {
	if s == "" {
		return time.Time{}, nil
	}
	f, err := strconv.ParseFloat(strings.TrimSpace(s), 64)
	if err != nil || !(f > -1e11 && f < 1e11) {
		return time.Time{}, &refusal{http.StatusBadRequest, errBadRequest}
	}
	return time.UnixMilli(int64(f * 1000)), nil
}

// tags splits lists of entity tags; a tag is kept with its quotes.
func tags(values []string) []string {
	var all []string
	for _, v := range values {
		for t := range strings.SplitSeq(v, ",") { // our own tags have no comma
			if t = strings.TrimSpace(t); t != "" {
				all = append(all, t)
			}
		}
	}
	return all
}

func (q *request) mkcol() error {
	if q.r.ContentLength != 0 { // a body would have a meaning that we do not know (RFC 4918 §9.3)
		return &refusal{http.StatusUnsupportedMediaType, errBadRequest}
	}
	opt, err := q.write()
	if err != nil {
		return err
	}
	if err := q.guard(target{path: q.path, member: true}); err != nil {
		return err
	}
	a, err := q.fs.Mkdir(q.r.Context(), q.path, opt)
	if errors.Is(err, space.ErrExists) {
		return &refusal{http.StatusMethodNotAllowed, err}
	}
	if err != nil {
		return err
	}
	return q.done(a, true)
}

func (q *request) remove() error {
	opt, err := q.write()
	if err != nil {
		return err
	}
	opt.IfMatch = tags(q.r.Header.Values("If-Match"))
	if err := q.guard(target{path: q.path, deep: true, member: true}); err != nil {
		return err
	}
	a, err := q.fs.Remove(q.r.Context(), q.path, opt)
	if err != nil {
		return err
	}
	a.Info = space.Info{}
	return q.done(a, false)
}

// destination reads where a COPY or MOVE goes, and whether it may replace what is there.
func (q *request) destination() (to string, overwrite bool, err error) {
	u, err := url.Parse(q.r.Header.Get("Destination"))
	if err != nil || u.Path == "" {
		return "", false, &refusal{http.StatusBadRequest, errBadRequest}
	}
	if u.Host != "" && u.Host != q.r.Host {
		return "", false, &refusal{http.StatusBadGateway, errBadRequest}
	}
	name, _, to, err := q.resolve(u.Path)
	switch {
	case errors.Is(err, space.ErrNotFound) || name != q.space:
		return "", false, &refusal{http.StatusBadGateway, errBadRequest} // the client copies the bytes itself then
	case err != nil:
		return "", false, err
	case to == q.path || to == "/":
		return "", false, &refusal{http.StatusForbidden, space.ErrExists}
	}
	return to, q.r.Header.Get("Overwrite") != "F", nil
}

func (q *request) copy() error {
	to, overwrite, err := q.destination()
	if err != nil {
		return err
	}
	depth := q.r.Header.Get("Depth")
	if depth != "" && depth != "0" && depth != "infinity" {
		return &refusal{http.StatusBadRequest, errBadRequest}
	}
	opt, err := q.write()
	if err != nil {
		return err
	}
	if err := q.guard(target{path: to, deep: true, member: true}); err != nil {
		return err
	}
	a, err := q.fs.Copy(q.r.Context(), q.path, to, space.CopyOptions{WriteOptions: opt, Overwrite: overwrite, Shallow: depth == "0"})
	return q.moved(a, err)
}

func (q *request) move() error {
	to, overwrite, err := q.destination()
	if err != nil {
		return err
	}
	if d := q.r.Header.Get("Depth"); d != "" && d != "infinity" {
		return &refusal{http.StatusBadRequest, errBadRequest}
	}
	opt, err := q.write()
	if err != nil {
		return err
	}
	err = q.guard(target{path: q.path, deep: true, member: true}, target{path: to, deep: true, member: true})
	if err != nil {
		return err
	}
	a, err := q.fs.Move(q.r.Context(), q.path, to, space.MoveOptions{WriteOptions: opt, Overwrite: overwrite})
	return q.moved(a, err)
}

// moved answers a COPY or MOVE, whose refusals have statuses of their own (RFC 4918 §9.8.5, §9.9.4).
func (q *request) moved(a space.Answer, err error) error {
	switch {
	case errors.Is(err, space.ErrExists):
		return &refusal{http.StatusPreconditionFailed, err}
	case errors.Is(err, space.ErrCycle):
		return &refusal{http.StatusForbidden, err}
	case err != nil:
		return err
	}
	return q.done(a, a.Created)
}
