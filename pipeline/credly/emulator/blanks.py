"""Fields that Credly shows though nobody has set them, with the value they then have."""

from typing import Any

ORGANIZATION: dict[str, Any] = dict.fromkeys(
    [
        "website_url",
        "contact_email",
        "legal_contact_email",
        "technical_contact_email",
        "zip_or_postal_code",
        "organization_type",
        "bio",
        "twitter_url",
        "facebook_url",
        "linked_in_url",
        "linked_in_name",
        "linked_in_org_id",
        "city",
        "address",
        "primary_hex_color",
        "support_email",
        "support_url",
        "print_method",
        "pdf_id",
        "industry_id",
        "linkedin_a2p_url",
        "location",
        "country",
        "state_or_province",
        "photo",
        "photo_url",
    ]
) | dict.fromkeys(
    [
        "allow_saml_debug",
        "enable_blockchain",
        "internationalize_badge_templates",
        "integrated_with_faethm",
        "hide_subscription",
        "workforce_enabled",
        "require_template_detail_attributes",
        "has_employees",
        "missing_required_info",
    ],
    False,
)

TEMPLATE: dict[str, Any] = {
    **dict.fromkeys(
        [
            "cost",
            "level",
            "time_to_earn",
            "type_category",
            "global_activity_url",
            "criteria_url",
            "criteria_url_name",
            "record_to_blockchain",
            "template_type",
            "earn_this_badge_url",
        ]
    ),
    **dict.fromkeys(
        [
            "certification",
            "lock_badge_state",
            "send_expiring_badge_notifications",
            "show_badge_lmi",
            "show_lmi_jobs",
            "printing_disabled",
            "enable_earn_this_badge",
            "translatable",
        ],
        False,
    ),
    "enable_detail_attribute_visibility": True,
    "show_skill_tag_links": True,
    "recipient_type": "User",
    **{
        name: []
        for name in (
            "skills",
            "reporting_tags",
            "alignments",
            "recommendations",
            "required_badge_templates",
            "badge_template_activities",
        )
    },
}
