package web

import (
	"path"
	"strings"

	"redhen/appliance/space"
	"redhen/raftnode/catalog"
)

// mediaType returns the media type of a file by its name, and whether a browser may
// show it: nothing that could hold a script.
func mediaType(name string) (media string, shown bool) {
	switch strings.ToLower(path.Ext(name)) {
	case ".jpg", ".jpeg":
		return "image/jpeg", true
	case ".png":
		return "image/png", true
	case ".gif":
		return "image/gif", true
	case ".webp":
		return "image/webp", true
	case ".avif":
		return "image/avif", true
	case ".mp4", ".m4v":
		return "video/mp4", true
	case ".mov":
		return "video/quicktime", true
	case ".webm":
		return "video/webm", true
	case ".mp3":
		return "audio/mpeg", true
	case ".m4a":
		return "audio/mp4", true
	case ".ogg", ".opus", ".oga":
		return "audio/ogg", true
	case ".wav":
		return "audio/wav", true
	case ".flac":
		return "audio/flac", true
	case ".txt", ".md", ".csv", ".log":
		return "text/plain; charset=utf-8", true
	case ".pdf":
		return "application/pdf", false // its viewer does not work in a sandbox
	}
	return "application/octet-stream", false
}

// kindOf names the kind of a file, for its picture in a list.
func kindOf(info space.Info) string {
	if info.Dir {
		return "folder"
	}
	media, shown := mediaType(info.Name)
	kind, _, _ := strings.Cut(media, "/")
	if !shown {
		return "other"
	}
	return map[string]string{"image": "picture", "video": "film", "audio": "sound", "text": "text"}[kind]
}

// open opens the version that the address asks for, else the newest.
func (p place) open() (*space.File, error) {
	v := p.R.URL.Query().Get("version")
	if v == "" {
		return p.fs.Open(p.R.Context(), p.path)
	}
	id, err := catalog.ParseWriteID(v)
	if err != nil {
		return nil, space.ErrNotFound
	}
	return p.fs.OpenVersion(p.R.Context(), p.path, id)
}
