package panel

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// Light is what the activity light shows.
type Light uint8

// The four states of the light, and none.
const (
	Unlit   Light = iota // as the kernel would have it
	Fine                 // steady: everything is safe
	Busy                 // slow blinking: something is under way, wait
	Person               // fast blinking: somebody has to do something
	Trouble              // short flashes: something is wrong
)

// blink returns the times of a light that blinks, in milliseconds; zeros for one that does not.
func (l Light) blink() (on, off int) {
	switch l {
	case Busy:
		return 1000, 1000
	case Person:
		return 200, 200
	case Trouble:
		return 60, 940
	}
	return 0, 0
}

// Files is a folder of small files of the kernel.
type Files interface {
	fs.FS
	// Write writes into a file that is there.
	Write(name, content string) error
}

// Folder is Files in a folder of the machine.
type Folder string

var _ Files = Folder("")

// Open implements Files.
func (f Folder) Open(name string) (fs.File, error) { return os.DirFS(string(f)).Open(name) }

// Write implements Files.
func (f Folder) Write(name, content string) error {
	file, err := os.OpenFile(filepath.Join(string(f), filepath.FromSlash(name)), os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = file.WriteString(content)
	return errors.Join(err, file.Close())
}

// Lamp is the activity light of a board.
type Lamp struct {
	files Files
	name  string
	mine  string // the trigger that it had
}

// FindLamp finds the activity light among /sys/class/leds; nil when there is none.
func FindLamp(leds Files) *Lamp {
	entries, err := fs.ReadDir(leds, ".")
	if err != nil {
		return nil
	}
	for _, want := range []string{"ACT", "led0", "act", "green:activity", "green:status"} {
		i := slices.IndexFunc(entries, func(e fs.DirEntry) bool { return e.Name() == want })
		if i >= 0 {
			return &Lamp{leds, want, trigger(leds, want)}
		}
	}
	return nil
}

// trigger is the one in brackets of the list that the kernel shows.
func trigger(leds Files, name string) string {
	b, err := fs.ReadFile(leds, name+"/trigger")
	if err != nil {
		return "none"
	}
	_, rest, _ := strings.Cut(string(b), "[")
	t, _, ok := strings.Cut(rest, "]")
	if !ok {
		return "none"
	}
	return t
}

// Show has the light show a state.
func (l *Lamp) Show(state Light) error {
	steps := [][2]string{{"trigger", "none"}, {"brightness", l.most()}}
	if state == Unlit {
		steps = [][2]string{{"trigger", l.mine}}
	}
	if on, off := state.blink(); on > 0 {
		steps = [][2]string{{"trigger", "timer"}, {"delay_on", strconv.Itoa(on)}, {"delay_off", strconv.Itoa(off)}}
	}
	for _, s := range steps {
		if err := l.files.Write(l.name+"/"+s[0], s[1]); err != nil {
			return fmt.Errorf("light %s: %w", l.name, err)
		}
	}
	return nil
}

func (l *Lamp) most() string {
	b, err := fs.ReadFile(l.files, l.name+"/max_brightness")
	if err != nil {
		return "1"
	}
	return strings.TrimSpace(string(b))
}
