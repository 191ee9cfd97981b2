package slot

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"redhen/images/layout"
)

// Pi is the firmware of a Raspberry Pi: config.txt names the folder of the system that
// starts, tryboot.txt that of the one that a restart with the argument "0 tryboot"
// starts, once
// (https://www.raspberrypi.com/documentation/computers/raspberry-pi.html, "fail-safe OS updates").
//
// This half was not tried on hardware: no emulator has this firmware. What its files
// say is tested.
type Pi struct {
	dir     string // the FAT
	running layout.Slot
}

var _ Loader = (*Pi)(nil)

// NewPi returns the loader whose FAT is mounted at dir.
func NewPi(dir string, running layout.Slot) *Pi { return &Pi{dir, running} }

// prefix is the key in config.txt that says which slot starts.
const prefix = "os_prefix="

// PiConfig returns the config.txt of a new card.
func PiConfig(s layout.Slot) []byte {
	return fmt.Appendf(nil, "# redhen changes the next line when it updates itself; what you add below it stays.\n"+
		"%s%s/\nkernel=%s\narm_64bit=1\narm_control=0x200\nenable_uart=1\ndisable_splash=1\n", prefix, s.Dir(), layout.KernelName)
}

// Running implements Loader.
func (p *Pi) Running() layout.Slot { return p.running }

// OnTrial implements Loader.
func (p *Pi) OnTrial() (bool, error) {
	b, err := os.ReadFile(p.path(layout.ConfigTxt))
	if err != nil {
		return false, fmt.Errorf("look at the slots: %w", err)
	}
	for line := range strings.Lines(string(b)) {
		if v, ok := strings.CutPrefix(strings.TrimSpace(line), prefix); ok {
			return v != p.running.Dir()+"/", nil
		}
	}
	return false, nil
}

func (p *Pi) path(name string) string { return filepath.Join(p.dir, name) }

// Clear implements Loader.
func (p *Pi) Clear() error {
	if err := remove(p.path(layout.TrybootTxt)); err != nil {
		return fmt.Errorf("clear slot: %w", err)
	}
	if trial, err := p.OnTrial(); err != nil || trial {
		return errors.Join(errors.New("clear slot: it is the one that starts"), err)
	}
	return nil
}

// Try implements Loader.
func (p *Pi) Try(_, line string) error {
	other := p.running.Other()
	if err := replace(p.path(filepath.Join(filepath.FromSlash(other.Dir()), layout.CmdlineTxt)), []byte(line+"\n")); err != nil {
		return fmt.Errorf("try slot: %w", err)
	}
	b, err := p.config(other)
	if err == nil {
		err = replace(p.path(layout.TrybootTxt), b)
	}
	if err != nil {
		return fmt.Errorf("try slot: %w", err)
	}
	return nil
}

// config returns config.txt as it is, but for the slot.
func (p *Pi) config(s layout.Slot) ([]byte, error) {
	b, err := os.ReadFile(p.path(layout.ConfigTxt))
	if err != nil {
		return nil, err
	}
	var out strings.Builder
	found := false
	for line := range strings.Lines(string(b)) {
		if strings.HasPrefix(strings.TrimSpace(line), prefix) {
			line, found = prefix+s.Dir()+"/\n", true
		}
		out.WriteString(line)
	}
	if !found {
		return nil, fmt.Errorf("%s names no slot", layout.ConfigTxt)
	}
	return []byte(out.String()), nil
}

// Confirm implements Loader.
func (p *Pi) Confirm() error {
	trial, err := p.OnTrial()
	if err != nil || !trial {
		return err
	}
	b, err := p.config(p.running)
	if err == nil {
		err = replace(p.path(layout.ConfigTxt), b)
	}
	if err == nil {
		err = remove(p.path(layout.TrybootTxt))
	}
	if err != nil {
		return fmt.Errorf("confirm slot: %w", err)
	}
	return nil
}

// Restart implements Loader.
func (p *Pi) Restart() error {
	if _, err := os.Stat(p.path(layout.TrybootTxt)); errors.Is(err, fs.ErrNotExist) {
		return reboot("")
	}
	return reboot("0 tryboot")
}
