package web

import (
	"archive/zip"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"redhen/appliance/space"
)

// asZip sends a folder with all that is in it as one file.
func (q *request) asZip() error {
	p, err := q.place()
	if err != nil {
		return err
	}
	info, err := p.fs.Stat(q.R.Context(), p.path)
	if err != nil {
		return err
	}
	name := info.Name
	if name == "" {
		name = p.space
	}
	return p.sendZip(name, []space.Info{info})
}

// sendZip sends files and folders as NAME.zip, as they are read: nothing is held but
// a few chunks. Pictures and films are compressed already, so nothing is compressed.
// When bytes cannot be read half-way the line is cut, so that the browser says so.
func (p place) sendZip(name string, infos []space.Info) error {
	h := p.W.Header()
	h.Set("Content-Type", "application/zip")
	h.Set("Content-Disposition", "attachment; filename*=UTF-8''"+strings.ReplaceAll(url.PathEscape(name+".zip"), "'", "%27"))
	z := zip.NewWriter(p.W)
	for _, info := range infos {
		inside := info.Name
		if info.Path == "/" {
			inside = ""
		}
		if err := p.zipOne(z, info, inside); err != nil {
			if p.R.Context().Err() == nil {
				p.cfg.Logger.Warn("zip", "err", err)
			}
			panic(http.ErrAbortHandler)
		}
	}
	if z.Close() != nil {
		panic(http.ErrAbortHandler) // the browser left
	}
	return nil
}

// zipOne adds a file, or a folder and what is in it. Who removes a file meanwhile
// takes it out of the zip, too.
func (p place) zipOne(z *zip.Writer, info space.Info, inside string) error {
	if !info.Dir {
		err := p.zipFile(z, info, inside)
		if errors.Is(err, space.ErrNotFound) {
			return nil
		}
		return err
	}
	if inside != "" {
		inside += "/"
		if _, err := z.CreateHeader(&zip.FileHeader{Name: inside, Modified: moment(info)}); err != nil {
			return err
		}
	}
	list, err := p.fs.List(p.R.Context(), info.Path)
	if err != nil && !errors.Is(err, space.ErrNotFound) {
		return err
	}
	for _, child := range list {
		if err := p.zipOne(z, child, inside+child.Name); err != nil {
			return err
		}
	}
	return nil
}

func (p place) zipFile(z *zip.Writer, info space.Info, inside string) error {
	file, err := p.fs.Open(p.R.Context(), info.Path)
	if err != nil {
		return err
	}
	defer file.Close()
	w, err := z.CreateHeader(&zip.FileHeader{Name: inside, Method: zip.Store, Modified: moment(info)})
	if err != nil {
		return err
	}
	_, err = io.Copy(w, file)
	return err
}

// moment is when something was made, or came here.
func moment(info space.Info) time.Time {
	if info.ModTime.IsZero() {
		return info.Created
	}
	return info.ModTime
}
