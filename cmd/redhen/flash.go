package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"redhen/appliance/api"
	"redhen/appliance/firstboot"
	"redhen/appliance/update"
	"redhen/appliance/words"
	"redhen/images/card"
	"redhen/images/flash"
	"redhen/provision/onefile"
	"redhen/provision/seed"
)

// flashFlags are the flags of redhen flash.
type flashFlags struct {
	image, sum, settings                              string
	circle, house, box, keeper, ticket, zone, country string
	wifi                                              string
	wifiOpen, wifiHidden, yes, anyDisk                bool
}

func (a *app) flashCommand() *cobra.Command {
	var f flashFlags
	cmd := &cobra.Command{
		Use: "flash TARGET", Short: "Write the card of a box, with its settings (a Wi-Fi's password on the input)", Args: cobra.ExactArgs(1),
		Long: "Write the card of a box: TARGET is the card's device, or a file. Everything on it is lost.\nWhat is written is read back. Without settings the box waits to be claimed on its page.",
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := need(cmd, "image"); err != nil {
				return err
			}
			return a.flash(cmd, args[0], f)
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&f.image, "image", "", "the image: .img or .img.xz, its address, or \"own\" for the system of the box on which this runs")
	flags.StringVar(&f.sum, "sha256", "", "what an image from an address must be")
	flags.StringVar(&f.settings, "settings", "", "file with settings, as redhen gift writes it")
	flags.StringVar(&f.circle, "circle", "", "name of the circle to begin")
	flags.StringVar(&f.house, "house", "", "name of the house that the box goes to")
	flags.StringVar(&f.box, "box", "", "name of the box")
	flags.StringVar(&f.keeper, "keeper", "", "login name of the box's keeper")
	flags.StringVar(&f.ticket, "ticket", "", "ticket with which the box joins a circle")
	flags.StringVar(&f.zone, "time-zone", "", "such as Europe/Berlin")
	flags.StringVar(&f.wifi, "wifi", "", "name of the Wi-Fi")
	flags.StringVar(&f.country, "country", "", "two letters of the country, for the Wi-Fi")
	flags.BoolVar(&f.wifiOpen, "wifi-open", false, "that Wi-Fi has no password")
	flags.BoolVar(&f.wifiHidden, "wifi-hidden", false, "that Wi-Fi does not announce itself")
	flags.BoolVar(&f.yes, "yes", false, "do not ask before everything on the card is lost")
	flags.BoolVar(&f.anyDisk, "any-disk", false, "write to a disk that does not look like a card, too")
	return cmd
}

func (a *app) flash(cmd *cobra.Command, to string, f flashFlags) error {
	target, err := flash.Look(os.DirFS("/"), to)
	if err != nil {
		return flashWords(err)
	}
	if !target.Sure && !f.anyDisk {
		return flashWords(&flash.Refusal{Sentence: fmt.Sprintf("%s does not look like a card: it is a %s. Nothing was changed. If you are sure, add --any-disk.", target.Path, target.Words)})
	}
	s, err := a.settings(f)
	if err != nil {
		return err
	}
	if err := a.agree(target, f.yes); err != nil {
		return err
	}
	image, err := a.image(cmd.Context(), f)
	if err != nil {
		return flashWords(err)
	}
	defer image.Close()
	if err := flash.Write(cmd.Context(), target, image, s, a.tellProgress()); err != nil {
		return flashWords(err)
	}
	what := "It was read back and is right. Put it into the box and plug the box in."
	if s.IsZero() {
		what += " It has no settings: the box waits to be claimed on its page, http://redhen.local/."
	}
	return a.done("The card is written: %s. %s", target.Words, what)
}

// image opens the image that is to be written.
func (a *app) image(ctx context.Context, f flashFlags) (*os.File, error) {
	switch {
	case flash.IsAddress(f.image):
		return flash.Fetch(ctx, f.image, f.sum, a.tellProgress())
	case f.image != "own":
		return flash.Open(ctx, f.image)
	}
	here, err := update.Here()
	if err != nil {
		return nil, &flash.Refusal{Sentence: fmt.Sprintf("This machine does not run from a card, so there is nothing to write another from (%v). Nothing was changed. Name an image with --image.", err)}
	}
	return flash.OwnOf(here.Running, here.Loader.Running(), here.Boot, here.Root(here.Loader.Running()), a.state).Image(ctx)
}

// settings makes the seed of the flags, checked as the box will check it.
func (a *app) settings(f flashFlags) (seed.Seed, error) {
	s := seed.Seed{
		Circle: f.circle, House: f.house, Box: f.box, Keeper: f.keeper, Ticket: seed.Secret(f.ticket), TimeZone: f.zone, Country: f.country,
	}
	if f.wifi != "" {
		w := seed.Wifi{SSID: f.wifi, Hidden: f.wifiHidden}
		if !f.wifiOpen {
			password, err := a.password("Password of the Wi-Fi " + f.wifi)
			if err != nil {
				return s, err
			}
			w.Passphrase = seed.Secret(password)
		}
		s.Wifi = []seed.Wifi{w}
	}
	s, problems := seed.ParseRedhen(seed.Render(s))
	if len(problems) > 0 {
		return s, &usageError{errors.New(firstboot.Explain(words.English(), problems[0]))}
	}
	if f.settings == "" {
		return s, nil
	}
	b, err := onefile.Read(f.settings, seed.MaxFile)
	if err != nil {
		return s, &usageError{fmt.Errorf("--settings: %w", err)}
	}
	file, problems := seed.ParseRedhen(b)
	if len(problems) > 0 {
		return s, &usageError{errors.New(firstboot.Explain(words.English(), problems[0]))}
	}
	return s.Over(file), nil
}

// agree asks at a keyboard whether everything on a card may be lost.
func (a *app) agree(t flash.Target, yes bool) error {
	if yes || !t.Device {
		return nil
	}
	fmt.Fprintf(a.err, "Everything on %s (%s) will be lost. Write to it? Type yes: ", t.Path, t.Words)
	line, _ := a.password("Type yes") // no line is no yes
	if strings.TrimSpace(line) == "yes" {
		return nil
	}
	return &api.Error{Code: "not-agreed", Sentence: "Nothing was written. Type yes when asked, or add --yes."}
}

// tellProgress tells how far it is, in steps of ten per cent.
func (a *app) tellProgress() card.Progress {
	last := ""
	return func(stage card.Stage, done, size int64) {
		if now := fmt.Sprintf("%s: %d %%", stage, done*10/size*10); now != last {
			last = now
			fmt.Fprintln(a.err, now)
		}
	}
}

// flashWords turns an error of the flash package into a person's words.
func flashWords(err error) error {
	if r, ok := errors.AsType[*flash.Refusal](err); ok {
		return &api.Error{Code: "refused", Sentence: r.Sentence}
	}
	return &api.Error{Code: "flash", Sentence: flash.Explain(err)}
}
