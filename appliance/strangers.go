package appliance

import (
	"errors"
	"io/fs"
	"log/slog"
	"path/filepath"
	"strings"

	"redhen/provision/onefile"
)

// strangersFile says "off" when the keeper does not want the help of strangers by
// which boxes find each other while no house can be called.
const strangersFile = "strangers"

func strangersAllowed(dir string, log *slog.Logger) bool {
	b, err := onefile.Read(filepath.Join(dir, strangersFile), 16)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		log.Warn("setting of strangers unreadable, taken for off", "err", err)
		return false
	}
	return strings.TrimSpace(string(b)) != "off"
}

// SetStrangers switches the help of strangers on or off, for good.
func (a *Appliance) SetStrangers(on bool) error {
	word := map[bool]string{true: "on\n", false: "off\n"}[on]
	if err := onefile.Replace(filepath.Join(a.cfg.Dir, strangersFile), []byte(word)); err != nil {
		return err
	}
	a.host.SetStrangers(on)
	return nil
}
