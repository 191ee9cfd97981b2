package space

import (
	"mime"
	"testing"
)

func TestContentType(t *testing.T) {
	for name, want := range map[string]string{
		"a.txt": "text/plain; charset=utf-8", "A.JPG": "image/jpeg", "film.mov": "video/quicktime", "b.docx.pdf": "application/pdf",
		"none": "application/octet-stream", "x.hen": "application/octet-stream", ".txt": "text/plain; charset=utf-8",
	} {
		if got := ContentType(name); got != want {
			t.Errorf("%s: got %s, want %s", name, got, want)
		}
		if _, _, err := mime.ParseMediaType(ContentType(name)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}
