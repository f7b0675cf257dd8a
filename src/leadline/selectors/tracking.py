"""Query parameters that say how a link was passed on, not what it points at. Data only.

A name is here when its vendor documents it or a browser removes it from links, and never because it looks
like one: a parameter dropped wrongly merges two different pages. Sources:

  GA    Google Analytics help, "URL builders: collect campaign data with custom URLs" (utm_*)
  FX    Firefox, enhanced tracking protection "strict", query stripping list (announced on dev-platform, 2022)
  BR    Brave, brave-core components/query_filter/utils.cc at 0c7f00e5 (each name with its public issue)
  VE    the vendor's own help: Google Ads (gbraid, gclsrc), Mailchimp (mc_cid), HubSpot (_hsmi),
        LinkedIn (li_fat_id), TikTok (ttclid), Matomo (mtm_*, pk_*)
"""

from __future__ import annotations

from collections.abc import Mapping

PREFIXES = ("utm_", "mtm_")  # GA; VE
NAMES = frozenset(
    {
        "dclid", "fbclid", "gbraid", "gclid", "gclsrc", "wbraid", "srsltid", "_gl",  # FX, BR, VE
        "msclkid", "twclid", "ttclid", "li_fat_id", "yclid", "ysclid", "ymclid", "_openstat",  # FX, BR, VE
        "mc_cid", "mc_eid", "_hsenc", "_hsmi", "__hsfp", "__hssc", "__hstc", "hsctatracking",  # FX, BR, VE
        "__s", "_kx", "_bhlid", "_branch_match_id", "_branch_referrer", "bsft_clkid", "bsft_uid",  # FX, BR
        "fb_action_ids", "guce_referrer", "guce_referrer_sig", "irclickid", "ml_subscriber",  # BR
        "ml_subscriber_hash", "oft_c", "oft_ck", "oft_d", "oft_id", "oft_ids", "oft_k", "oft_lk", "oft_sk",  # FX, BR
        "oly_anon_id", "oly_enc_id", "pk_campaign", "pk_cid", "pk_kwd", "rb_clickid", "s_cid",  # FX, BR, VE
        "ss_email_id", "unicorn_click_id", "vero_conv", "vero_id", "vgo_ee", "wickedid",  # FX, BR
    }
)  # fmt: skip
# Short names that mean something else elsewhere: only on these registrable domains (BR).
SCOPED: Mapping[str, frozenset[str]] = {
    "igsh": frozenset({"instagram.com"}),
    "igshid": frozenset({"instagram.com"}),
    "ref_src": frozenset({"twitter.com", "x.com"}),
    "ref_url": frozenset({"twitter.com", "x.com"}),
    "si": frozenset({"youtube.com", "youtu.be"}),
}


def is_tracking(name: str, registrable_domain: str | None) -> bool:
    """Whether a query parameter of this name, in any case, is left out of a key."""
    lowered = name.lower()
    if lowered in NAMES or lowered.startswith(PREFIXES):
        return True
    return registrable_domain in SCOPED.get(lowered, frozenset())
