package seed

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"
)

const (
	// sector is what a card writes as a whole.
	sector = 512
	// mark begins a file that is being wiped. It lies within one sector, and no text
	// begins so.
	mark = "#\x00redhen"
	// wiped begins a file that was wiped, followed by a digest of all after the first line.
	wiped = "# redhen has read this file "
)

// isMarked reports whether the wiping of the file has begun. What it holds is not
// read any more: it was stored before the mark was written.
func isMarked(b []byte) bool { return bytes.HasPrefix(b, []byte(mark)) }

// isWiped reports whether the file is as we left it. One that was changed since is
// read like any other.
func isWiped(b []byte) bool {
	head, rest, ok := bytes.Cut(b, []byte("\n"))
	return ok && bytes.HasPrefix(head, []byte(wiped)) && bytes.HasPrefix(head[len(wiped):], []byte(digest(rest)))
}

func digest(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:8])
}

// rest returns what a wiped file says: the settings that are no secret. It is made
// from the seed and not from the file, so that nothing can slip through.
func rest(s Seed) []byte {
	body := "\n"
	if !s.IsZero() {
		body = "\n# Taken over:\n" + commented(Render(s.Public()))
	}
	head := wiped + digest([]byte(body)) + " and removed its secrets. Write a new file to change something.\n"
	return []byte(head + body)
}

// commented drops the first line and makes comments of the others.
func commented(b []byte) string {
	var out strings.Builder
	_, b, _ = bytes.Cut(b, []byte("\n"))
	for line := range strings.Lines(string(b)) {
		if strings.TrimSpace(line) != "" {
			out.WriteString("# " + line)
		}
	}
	return out.String()
}

// wipe removes the secrets from a file that is stored. Each step is durable before
// the next: first the mark, so that what a cut leaves is never taken for settings;
// then blanks over all the rest; then the new text from behind, its first sector,
// which takes the mark away, last. The file never grows, so a full card does not
// matter. A request is removed while it bears the mark.
func (f *found) wipe(card Folder) error {
	if f.size < int64(len(mark)) {
		return card.Remove(f.name) // a request without a word; other short files are kept
	}
	h, err := card.Open(f.name)
	if err != nil {
		return fmt.Errorf("wipe %s: %w", f.name, err)
	}
	defer h.Close()
	if err := blank(h, f.size); err != nil {
		return fmt.Errorf("wipe %s: %w", f.name, err)
	}
	if f.once {
		return card.Remove(f.name)
	}
	text := rest(f.seed)
	if int64(len(text)) > f.size {
		text = nil
	}
	if err := rewrite(h, text); err != nil {
		return fmt.Errorf("wipe %s: %w", f.name, err)
	}
	return nil
}

// blank leaves nothing of the file but the mark.
func blank(h File, size int64) error {
	if err := writeSync(h, []byte(mark), 0); err != nil {
		return err
	}
	blanks := bytes.Repeat([]byte("\n"), int(min(size, MaxFile)))
	for at := int64(len(mark)); at < size; at += int64(len(blanks)) {
		if _, err := h.WriteAt(blanks[:min(int64(len(blanks)), size-at)], at); err != nil {
			return err
		}
	}
	return h.Sync()
}

// rewrite makes a marked file that is not shorter than text hold text.
func rewrite(h File, text []byte) error {
	if len(text) > sector {
		if err := writeSync(h, text[sector:], sector); err != nil {
			return err
		}
	}
	if err := h.Truncate(int64(len(text))); err != nil {
		return err
	}
	if err := h.Sync(); err != nil {
		return err
	}
	return writeSync(h, text[:min(len(text), sector)], 0)
}

func writeSync(h File, b []byte, at int64) error {
	if len(b) == 0 {
		return nil
	}
	if _, err := h.WriteAt(b, at); err != nil {
		return err
	}
	return h.Sync()
}
