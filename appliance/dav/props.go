package dav

import (
	"encoding/xml"
	"io/fs"
	"maps"
	"net/http"
	"os"
	"strings"

	"golang.org/x/net/webdav"

	"redhen/appliance/space"
)

// An entry is a file or directory whose properties are asked for or set. It is a
// webdav.File without bytes.
type entry struct {
	tree     *tree
	info     space.Info
	children []*entry
}

var _ webdav.DeadPropsHolder = (*entry)(nil)

// Close does nothing.
func (e *entry) Close() error { return nil }

// Read has no bytes.
func (e *entry) Read([]byte) (int, error) { return 0, os.ErrPermission }

// Seek has no bytes.
func (e *entry) Seek(int64, int) (int64, error) { return 0, os.ErrPermission }

// Write is not possible.
func (e *entry) Write([]byte) (int, error) { return 0, os.ErrPermission }

// Stat returns what is known.
func (e *entry) Stat() (fs.FileInfo, error) { return fileInfo{e.info}, nil }

// Readdir returns all children, whatever the count.
func (e *entry) Readdir(int) ([]fs.FileInfo, error) {
	infos := make([]fs.FileInfo, len(e.children))
	for i, c := range e.children {
		infos[i] = fileInfo{c.info}
	}
	return infos, nil
}

// DeadProps returns the stored properties, and those live ones that the library
// leaves out: locks, creation date, quota.
func (e *entry) DeadProps() (map[xml.Name]webdav.Property, error) {
	if err := e.tree.about(); err != nil {
		return nil, err
	}
	all := map[xml.Name]webdav.Property{}
	for key, value := range e.info.Props {
		if p, ok := decodeProp(key, value); ok {
			all[p.XMLName] = p
		}
	}
	live := map[string]string{"lockdiscovery": e.tree.locked(e.info.Path)}
	if !e.info.Created.IsZero() {
		live["creationdate"] = e.info.Created.UTC().Format("2006-01-02T15:04:05Z")
	}
	if e.info.Dir {
		maps.Copy(live, e.tree.quota())
	}
	for name, value := range live {
		n := xml.Name{Space: "DAV:", Local: name}
		all[n] = webdav.Property{XMLName: n, InnerXML: []byte(value)}
	}
	return all, nil
}

// Patch stores changed properties, all or none.
func (e *entry) Patch(patches []webdav.Proppatch) ([]webdav.Propstat, error) {
	props := maps.Clone(e.info.Props)
	if props == nil {
		props = map[string][]byte{}
	}
	status := webdav.Propstat{Status: http.StatusOK}
	for _, patch := range patches {
		for _, p := range patch.Props {
			status.Props = append(status.Props, webdav.Property{XMLName: p.XMLName})
			if isLive(p.XMLName) {
				status.Status = http.StatusForbidden
			}
			key, value := encodeProp(p)
			if patch.Remove {
				delete(props, key)
			} else {
				props[key] = value
			}
		}
	}
	if status.Status != http.StatusOK {
		return []webdav.Propstat{status}, nil
	}
	q := e.tree.q
	a, err := q.fs.SetProps(q.r.Context(), q.path, props, e.tree.opt)
	if err != nil {
		t := space.ExplainIn(e.tree.q.words(), err)
		status.Status, status.ResponseDescription = t.Status, t.String()
		return []webdav.Propstat{status}, nil
	}
	a.Info = space.Info{} // a PROPPATCH answers no ETag
	q.kept(a)
	return []webdav.Propstat{status}, nil
}

// isLive reports whether we answer a DAV: property that the library does not know.
func isLive(n xml.Name) bool {
	switch n.Local {
	case "lockdiscovery", "creationdate", quotaUsed, quotaAvailable:
		return n.Space == "DAV:"
	}
	return false
}

// The properties of RFC 4331.
const (
	quotaUsed      = "quota-used-bytes"
	quotaAvailable = "quota-available-bytes"
)

// encodeProp returns how a property is stored: "{namespace}name" → language, a new line, XML.
func encodeProp(p webdav.Property) (key string, value []byte) {
	return "{" + p.XMLName.Space + "}" + p.XMLName.Local, append([]byte(p.Lang+"\n"), p.InnerXML...)
}

// decodeProp reads what encodeProp wrote. Other keys are properties of other doors.
func decodeProp(key string, value []byte) (webdav.Property, bool) {
	i := strings.LastIndexByte(key, '}')
	lang, inner, ok := strings.Cut(string(value), "\n")
	if !ok || i < 1 || key[0] != '{' {
		return webdav.Property{}, false
	}
	return webdav.Property{XMLName: xml.Name{Space: key[1:i], Local: key[i+1:]}, Lang: lang, InnerXML: []byte(inner)}, true
}
