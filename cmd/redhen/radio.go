package main

import (
	"context"
	"log/slog"
	"os"

	"redhen/appliance"
	"redhen/board/stick"
	"redhen/board/wifi"
	"redhen/board/wifi/setup"
)

// Where an image has what joins networks and opens one. What is not there is done without.
const (
	supplicantProgram = "/usr/sbin/wpa_supplicant"
	hostapdProgram    = "/usr/sbin/hostapd"
	dhcpProgram       = "/gokrazy/dhcp"
	radioDir          = "/run/redhen/wifi"
	stickDir          = "/run/redhen/stick"
)

// radio is what this machine has for Wi-Fi.
func radio(log *slog.Logger) *appliance.Wifi {
	w := &appliance.Wifi{Open: func() (wifi.Radio, string, error) {
		return wifi.OpenRadio(wifi.Helper{Program: supplicantProgram, Dir: radioDir}, log)
	}}
	w.Sticks = func(ctx context.Context, take func(string)) error {
		return stick.Watch(ctx, stick.Config{Root: os.DirFS("/"), Take: take, Mount: stick.MountFAT(stickDir), Dir: stickDir, Logger: log})
	}
	if isThere(dhcpProgram) {
		w.Address = func(iface string) func(context.Context) error { return wifi.Lease(dhcpProgram, iface, log) }
	}
	if isThere(hostapdProgram) {
		w.Setup = func(c setup.Config) wifi.Hotspot {
			c.Program, c.Dir = hostapdProgram, radioDir
			return setup.New(c)
		}
	}
	return w
}

func isThere(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}
